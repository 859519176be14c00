"""What somebody typed in a message of WhatsApp, and what WhatsApp put in its place or behind it.

On iOS such words follow a mark (U+200E) in every language, and placeholders for media stand in
angle brackets on Android in every language. Messages that were deleted or edited are told by their
wording, so the languages of `_DELETED_TEXTS` and `_EDITED_TEXTS` are known and no others.
"""

import re
from dataclasses import dataclass

from data_prep.importing.messages import MENTION

MARKS = "\u200e\u200f\u202a\u202c\ufeff"
"""Directions of writing, and a byte order mark."""

_NOT_TYPED = "\u200e"
_DELETED_TEXTS = (
    *("This message was deleted", "You deleted this message", "(?-i:null)"),  # English
    *("Diese Nachricht wurde gelöscht", "Du hast diese Nachricht gelöscht"),  # German
    *(
        "Se eliminó este mensaje",
        "Este mensaje fue eliminado",
        "Eliminaste este mensaje",
    ),  # Spanish
    *("Ce message a été (?:supprimé|effacé)", "Vous avez (?:supprimé|effacé) ce message"),  # French
    *("Questo messaggio è stato eliminato", "Hai eliminato questo messaggio"),  # Italian
    *("(?:Mensagem|Ess?t?a mensagem foi) (?:apagada|eliminada)",),  # Portuguese
    *("(?:Você )?apagou ess?t?a mensagem", "(?:Você )?eliminou esta mensagem"),
    *("Dit bericht is verwijderd", "(?:U|Je) hebt dit bericht verwijderd"),  # Dutch
    *("Detta meddelande (?:har raderats|raderades)", "Du raderade det här meddelandet"),  # Swedish
    *("Denne besked blev slettet", "Du slettede denne besked"),  # Danish
    *("Denne meldingen ble slettet", "Du slettet denne meldingen"),  # Norwegian
    *("Tämä viesti (?:on )?poistettiin", "Poistit tämän viestin"),  # Finnish
    *("Ta wiadomość została usunięta", "(?:Usunięto|Usunąłeś|Usunęłaś) tę wiadomość"),  # Polish
    *(
        "Tato zpráva byla (?:odstraněna|smazána)",
        "(?:Odstranili|Smazali) jste tuto zprávu",
    ),  # Czech
    *("Ezt az üzenetet törölték", "Törölted ezt az üzenetet"),  # Hungarian
    *("Bu mesaj silindi", "Bu mesajı sildiniz"),  # Turkish
    *(
        "(?:Данное|Это) сообщение (?:было )?удалено",
        "Вы удалили (?:данное|это) сообщение",
    ),  # Russian
    *("Це повідомлення (?:було )?видалено", "Ви видалили це повідомлення"),  # Ukrainian
    *("Pesan ini (?:telah )?dihapus", "Anda (?:telah )?menghapus pesan ini"),  # Indonesian
    *("تم حذف هذه الرسالة", "لقد حذفت هذه الرسالة", "حذفت هذه الرسالة"),  # Arabic
    *("הודעה זו נמחקה", "מחקת הודעה זו"),  # Hebrew
    *("यह (?:मैसेज|संदेश) (?:हटाया|मिटाया|हटा दिया|मिटा दिया) गया(?: है)?",),  # Hindi
    *("此消息已删除", "[你您](?:已)?删除了?(?:这条|此)消息"),  # Chinese, simplified
    *("[此這](?:則)?訊息已刪除", "[你您]已?刪除了?[這此](?:則)?訊息"),  # Chinese, traditional
    *("このメッセージは削除されました", "(?:あなたは)?このメッセージを削除しました"),  # Japanese
    *("삭제된 메시지입니다", "이 메시지는 삭제되었습니다", "이 메시지를 삭제했습니다"),  # Korean
)
_EDITED_TEXTS = (
    "This message was edited",
    "Diese Nachricht wurde bearbeitet",
    "Se editó este mensaje|Este mensaje fue editado",
    "Ce message a été modifié",
    "Questo messaggio è stato modificato",
    "(?:Mensagem|Ess?t?a mensagem foi) editada",
    "Dit bericht is (?:bewerkt|gewijzigd)",
    "Detta meddelande (?:har redigerats|redigerades)",
    "Denne besked blev redigeret",
    "Denne meldingen ble redigert",
    "Tätä viestiä (?:on )?muokattiin",
    "Ta wiadomość została (?:z)?edytowana",
    "Tato zpráva byla upravena",
    "Ezt az üzenetet szerkesztették",
    "Bu mesaj düzenlendi",
    "(?:Данное|Это) сообщение (?:было )?изменено",
    "Це повідомлення (?:було )?змінено",
    "Pesan ini (?:telah )?diedit",
    "تم تعديل هذه الرسالة",
    "הודעה זו נערכה",
    "यह (?:मैसेज|संदेश) (?:एडिट|संपादित) किया गया(?: है)?",
    "此消息已编辑",
    "[此這](?:則)?訊息已編輯",
    "このメッセージは編集されました",
    "(?:수정된 메시지입니다|이 메시지는 수정되었습니다)",
)
_DELETED = re.compile(
    rf"(?:{'|'.join(_DELETED_TEXTS)})[.。]?|This message was deleted by admin.*", re.IGNORECASE
)
# On iOS, whatever stands in angle brackets after a mark.
_EDITED = re.compile(
    rf"\s*(?:[{MARKS}]*<(?:{'|'.join(_EDITED_TEXTS)})[.。]?>|[\u200e\u200f]<[^<>\n]+>)\s*\Z",
    re.IGNORECASE,
)
_PLACEHOLDER = r"<[^<>\n]+>"
# Where the mark is lost. In front of "omitted" and the like is what it was.
_OMITTED = re.compile(
    r"(?:image|video|audio|sticker|GIF|document|Contact card) omitted"
    r"|(?:Bild|Video|Audio|Sticker|GIF|Dokument|Kontaktkarte) (?:weggelassen|ausgelassen)"
    r"|(?:imagen|video|audio|sticker|GIF|documento) omitid[oa]"
    r"|(?:image|vidéo|audio|sticker|GIF|document) (?:absente?|omise?)"
    r"|(?:immagine|video|audio|sticker|GIF|documento) omess[oa]"
    r"|(?:imagem|vídeo|áudio|figurinha|GIF|documento) (?:ocultad|omitid)[oa]"
    r"|(?:afbeelding|video|audio|sticker|GIF|document) weggelaten",
    re.IGNORECASE,
)
_FILE_NAME = (
    r"\S+\.(?:jpe?g|png|webp|gif|heic|mp4|3gp|mov|mkv|opus|ogg|m4a|mp3|aac|amr|wav|pdf|docx?|xlsx?"
    r"|pptx?|odt|ods|txt|csv|vcf|zip|rar|apk)"
)
_ATTACHMENT_NOTES = (
    "file attached|Datei angehängt|archivo adjunto|fichier joint|file allegato|arquivo anexado"
    "|ficheiro anexado|bestand bijgevoegd"
)
_ATTACHED = re.compile(
    rf"(?:{_PLACEHOLDER}|[^\n]*\.\w+ \((?:{_ATTACHMENT_NOTES})\)|{_FILE_NAME} \([^()\n]+\))",
    re.IGNORECASE,
)
# A telephone number may be pasted with a mark.
_ADDED = re.compile(r"[ \u2022]*\u200e(?!\+)[^\n]*\Z")
_ONLY_FILE_NAME = re.compile(rf"[^\n]+ \u2022|{_FILE_NAME}", re.IGNORECASE)
_MENTIONED = re.compile("@\u2068[^\u2069]*\u2069|@\\d{6,}")


@dataclass(frozen=True, slots=True)
class TypedText:
    """What is left of a message.

    Attributes:
        text: what was typed, mentions without names.
        reason: why nothing is left, or "".
        is_cut: whether words that WhatsApp put behind it were cut off.
    """

    text: str = ""
    reason: str = ""
    is_cut: bool = False


def typed_text(said: str) -> TypedText:
    """What somebody typed, of all that stands after the name."""
    text = _EDITED.sub("", said)
    bare = _bare(text)
    if _DELETED.fullmatch(bare):
        return TypedText(reason="deleted")
    first, _, caption = bare.partition("\n")
    if _ATTACHED.fullmatch(first):
        text = bare = _bare(caption)
    elif bare and text.startswith(_NOT_TYPED):
        return TypedText(reason="not_typed")
    added = _ADDED.search(text)
    if added is not None:
        before = _bare(text[: added.start()])
        of_file = before + (" \u2022" if "\u2022" in added[0].partition(_NOT_TYPED)[0] else "")
        bare = "" if _ONLY_FILE_NAME.fullmatch(of_file) else before
    if not bare or _OMITTED.fullmatch(bare):
        return TypedText(reason="media")
    return TypedText(text=_MENTIONED.sub(MENTION, bare), is_cut=added is not None)


def _bare(text: str) -> str:
    return text.strip(MARKS + " ")
