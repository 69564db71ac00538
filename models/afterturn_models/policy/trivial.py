"""Trivial messages: words with nothing in them that a question could be asked about."""

from __future__ import annotations

import re
import unicodedata

# A command of a host, as in `/new` or `/model opus`; a path has another slash, or none.
_COMMAND = re.compile(r"/[a-z][\w:-]*(?=\s|$)", re.IGNORECASE)
_MOST_WORDS = 5

# Each of these words says nothing, alone or among others of its kind ("ok, thanks!", "ja danke").
_WORDS = """
yes yeah yep yup yea y no nope nah n ok okay okey k kk sure thanks thank thx ty tysm cheers please
pls plz hi hello hey hiya yo bye goodbye cool nice great good perfect awesome right lgtm fine done
next continue proceed stop wow haha lol hmm hm mhm uh um oh ah well
ja nein nö jo jep jawohl danke bitte hallo moin servus tschüss gut prima klar genau super weiter
oui non merci salut bonjour bonsoir daccord bien parfait
sí si no gracias hola vale claro bueno perfecto adiós sim não obrigado obrigada olá oi tudo
certo grazie ciao prego bene perfetto esatto nee bedankt dank hoi doei prima goed
tak nie dzięki dziękuję cześć hej nej tack tackar kiitos joo kyllä ei moi takk
да нет спасибо привет пока хорошо ладно ок ага угу понятно отлично так ні дякую
evet hayır tamam teşekkürler merhaba sağol
نعم لا شكرا تمام مرحبا حسنا بله مرسی ممنون سلام כן לא תודה שלום
हाँ हां नहीं धन्यवाद ठीक शुक्रिया नमस्ते
好 好的 是 是的 对 對 不 不是 不用 没有 谢谢 謝謝 嗯 嗯嗯 你好 您好 可以 行 收到 明白 了解 继续 繼續 再见
はい いいえ うん ええ ありがとう ありがとうございます どうも こんにちは 了解 了解です わかりました オッケー
네 예 응 아니요 아니 감사합니다 고마워 고마워요 안녕 안녕하세요 알겠습니다 좋아 좋아요 오케이
vâng dạ không cảm ơn chào ya tidak terima kasih oke makasih halo
"""  # noqa: RUF001 - these are words of other scripts, not letters that pose as ASCII

# And these only as a whole: their words can say something elsewhere.
_PHRASES = """
thank you | thank you very much | thank you so much | thanks a lot | many thanks | got it | i see
go ahead | go on | do it | sounds good | all right | alright | no problem | no worries | of course
you too | good morning | good evening | good night | see you | me too | makes sense | that works
vielen dank | danke schön | danke dir | alles klar | in ordnung | mach weiter | guten morgen
guten tag | guten abend | gute nacht | bis bald | passt so | geht klar
merci beaucoup | d'accord | ça marche | bonne nuit | très bien | de rien | pas de problème
muchas gracias | de acuerdo | buenos días | buenas tardes | buenas noches | está bien | de nada
muito obrigado | muito obrigada | tudo bem | bom dia | boa noite | va bene | grazie mille
buongiorno | dank je | dank je wel | goed zo | dzień dobry | tack så mycket
большое спасибо | всё понятно | добрый день | доброе утро | не за что
çok teşekkürler | teşekkür ederim | günaydın | شكرا جزيلا | ठीक है | どうもありがとう | ありがとうね
"""  # noqa: RUF001 - as above


def is_trivial(text: str) -> bool:
    """Tell whether a message says nothing to ask about: thanks, consent, a greeting, a command.

    So are a text of punctuation or emoji alone, and an empty one. What is not known to be trivial
    is not: a short message in a language that is not here is asked about.
    """
    stripped = text.strip()
    if _COMMAND.match(stripped):
        return True
    if len(stripped) > _LONGEST:
        return not any(char.isalnum() for char in stripped)
    words = _plain(stripped).split()
    return (
        not words
        or " ".join(words) in _KNOWN_PHRASES
        or (len(words) <= _MOST_WORDS and all(word in _KNOWN_WORDS for word in words))
    )


def _plain(text: str) -> str:
    """Give the words of a text alike however they are written: no case, no signs, no emoji."""
    kept: list[str] = []
    for char in unicodedata.normalize("NFKC", text.casefold()):
        category = unicodedata.category(char)[0]
        joined = bool(kept) and kept[-1] != " "
        if category in {"L", "N"} or (category == "M" and joined and not _is_selector(char)):
            kept.append(char)
        elif char not in "'\u2019":
            kept.append(" ")
    return "".join(kept)


def _is_selector(char: str) -> bool:
    """Tell whether it says only how an emoji is drawn."""
    return "\ufe00" <= char <= "\ufe0f" or char == "\u20e3"


_KNOWN_WORDS = frozenset(word for line in _WORDS.splitlines() for word in _plain(line).split())
_KNOWN_PHRASES = frozenset(
    " ".join(_plain(phrase).split()) for line in _PHRASES.splitlines() for phrase in line.split("|")
)
_LONGEST = 2 * max(map(len, _KNOWN_PHRASES))
