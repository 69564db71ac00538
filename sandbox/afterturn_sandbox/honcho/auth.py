"""Who is asking: HS256 tokens for a workspace, a peer, a session or all, as Honcho makes them."""

import binascii
import hashlib
import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from afterturn_sandbox.honcho.errors import unauthorized
from afterturn_sandbox.honcho.values import iso, now_us

# What a route lets in beside admins and its workspace's own keys.
Access = Literal["admin", "open", "public", "workspace", "peer", "session", "session-read"]


@dataclass(frozen=True, slots=True)
class Identity:
    """What a token allows: everything, or one workspace, perhaps one peer or session of it."""

    admin: bool = False
    workspace: str | None = None
    peer: str | None = None
    session: str | None = None


ADMIN = Identity(admin=True)


@dataclass(frozen=True, slots=True)
class Auth:
    """The stand-in's keys: none (every caller is admin), one plain admin key, a signing secret."""

    api_key: str | None = None
    secret: str | None = None

    @property
    def enabled(self) -> bool:
        """Whether callers must show a key."""
        return bool(self.api_key or self.secret)

    def identify(self, header: str | None) -> Identity:
        """Return the sender of an `Authorization` header.

        Raises:
            ApiError: 401 when it is missing, foreign or expired.
        """
        if not self.enabled:
            return ADMIN
        scheme, _, token = (header or "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise unauthorized("a bearer token is needed")
        if self.api_key and hmac.compare_digest(token.encode(), self.api_key.encode()):
            return ADMIN
        return _identity(_claims(token, self.signing_secret))

    @property
    def signing_secret(self) -> str:
        """What tokens are signed with; under a plain key alone, a secret that follows from it."""
        return self.secret or f"afterturn-sandbox:{self.api_key}"

    def make_token(
        self, *, admin: bool = False, expires: datetime | None = None, **scope: str | None
    ) -> str:
        """Return a token for `scope`: `w` workspace, `p` peer, `s` session; or for an admin."""
        claims: dict[str, Any] = {"t": iso(now_us())}
        if expires:
            claims["exp"] = expires.isoformat()
        if admin:
            claims["ad"] = True
        claims |= {name: value for name, value in scope.items() if value}
        head = _encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
        body = _encode(json.dumps(claims).encode())
        return f"{head}.{body}.{_sign(f'{head}.{body}', self.signing_secret)}"


def authorize(identity: Identity, access: Access, params: dict[str, str], *, member: bool) -> None:
    """Let `identity` through to a route, by the token's narrowest scope.

    `member` says whether the token's peer is in the route's session: it may read there.

    Raises:
        ApiError: 401 when the token is for something else.
    """
    if identity.admin:
        return
    if access == "admin":
        raise unauthorized("only an admin's key reaches this resource")
    if "workspace_id" in params and identity.workspace != params["workspace_id"]:
        raise unauthorized()
    if access == "open":  # the route itself compares the token with the body
        return
    if identity.session is not None:
        allowed = access.startswith("session") and identity.session == params.get("session_id")
    elif identity.peer is not None:
        own = access == "peer" and identity.peer == params.get("peer_id")
        allowed = own or (access == "session-read" and member)
    else:
        allowed = identity.workspace is not None
    if not allowed:
        raise unauthorized()


def _encode(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _sign(text: str, secret: str) -> str:
    return _encode(hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest())


def _claims(token: str, secret: str) -> dict[str, Any]:
    signed, _, signature = token.rpartition(".")
    if not hmac.compare_digest(_sign(signed, secret).encode(), signature.encode()):
        raise unauthorized("the token is not one of this server's")
    head, _, body = signed.partition(".")
    try:
        algorithm = json.loads(_decode(head)).get("alg")
        claims: dict[str, Any] = json.loads(_decode(body))
    except (ValueError, AttributeError, binascii.Error) as error:
        raise unauthorized("the token is not one of this server's") from error
    if algorithm != "HS256":
        raise unauthorized("the token is not one of this server's")
    return claims


def _identity(claims: dict[str, Any]) -> Identity:
    expires = claims.get("exp")
    if expires:
        try:
            moment = datetime.fromisoformat(str(expires))
        except ValueError as error:
            raise unauthorized("the token is not one of this server's") from error
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        if aware < datetime.now(UTC):
            raise unauthorized("the token has expired")
    who = Identity(
        admin=bool(claims.get("ad")),
        workspace=claims.get("w") or None,
        peer=claims.get("p") or None,
        session=claims.get("s") or None,
    )
    if (who.peer or who.session) and not who.workspace:
        raise unauthorized("the token names a peer or a session without their workspace")
    return who
