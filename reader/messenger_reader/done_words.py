"""What was done, in a sentence or two: "3 messages moved to Trash. 1 was gone already." """

from .done import BACK, MOVED, READ, REMOVED, STARRED, UNREAD, UNSTARRED, Done
from .folder_names import folder_name
from .language import gettext as _
from .language import ngettext
from .mails import TRASH


def said(done: Done) -> str:
    """In the language of the page. What it holds of a folder's name is still to be escaped."""
    if not done.count and not done.gone:
        return _("No message was selected.")
    sentences = [_what(done)] if done.count else []
    if done.gone:
        gone = ngettext("%(num)s message was gone already.", "%(num)s messages were gone already.", done.gone)
        sentences.append(gone % {"num": done.gone})
    return " ".join(sentences)


def _what(done: Done) -> str:
    count, folder = done.count, folder_name(done.to)
    words = {
        MOVED: ngettext("%(num)s message moved to “%(folder)s”.", "%(num)s messages moved to “%(folder)s”.", count),
        BACK: ngettext("%(num)s message moved back.", "%(num)s messages moved back.", count),
        REMOVED: ngettext("%(num)s message deleted for good.", "%(num)s messages deleted for good.", count),
        READ: ngettext("%(num)s message marked as read.", "%(num)s messages marked as read.", count),
        UNREAD: ngettext("%(num)s message marked as unread.", "%(num)s messages marked as unread.", count),
        STARRED: ngettext("%(num)s message starred.", "%(num)s messages starred.", count),
        UNSTARRED: ngettext("Star taken off %(num)s message.", "Star taken off %(num)s messages.", count),
    }
    if done.kind == MOVED and done.to == TRASH:
        deleted = ngettext("%(num)s message moved to Trash.", "%(num)s messages moved to Trash.", count)
        return deleted % {"num": count}
    return words[done.kind] % {"num": count, "folder": folder}
