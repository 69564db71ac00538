"""From a reply to bytes on the wire."""

from aiohttp import web

from afterturn_sandbox.honcho.call import Reply
from afterturn_sandbox.honcho.values import dumps


def encode(reply: Reply) -> web.Response:
    """Return the reply as a whole response; after a 500 its connection closes, as Honcho's does."""
    if reply.status == 204:
        return web.Response(status=204, content_type="application/json")
    try:
        body = dumps(reply.payload).encode()
    except UnicodeEncodeError:  # a lone surrogate echoed in a 422: Honcho fails on it as well
        reply = Reply({"detail": "An unexpected error occurred"}, 500)
        body = dumps(reply.payload).encode()
    response = web.Response(body=body, status=reply.status, content_type="application/json")
    if reply.status >= 500:
        response.force_close()
    return response


async def send(request: web.BaseRequest, reply: Reply) -> web.StreamResponse:
    """Answer `request`: at once, or event by event."""
    if reply.events is None:
        return encode(reply)
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(request)
    for event in reply.events:
        await response.write(event.encode())
    await response.write_eof()
    return response
