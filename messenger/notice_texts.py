"""The texts of notices and other mails of ours: templates and catalogues, ours or the site's own in their place.

A site's folder may hold any of the templates, and ``locale/<language>/LC_MESSAGES/messenger.po`` for a language
we lack. Catalogues are read as text, so there is nothing to compile. docs/notice.md is written for who writes either.
"""

import gettext
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from babel.messages.mofile import write_mo
from babel.messages.pofile import PoFileError, read_po
from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    StrictUndefined,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
    select_autoescape,
)
from jinja2.sandbox import SandboxedEnvironment

from .errors import MessengerError

#: The language of the templates themselves.
SOURCE = "en"

#: What to do about a template of a site's own.
MEND = "mend it, or take it away and ours is used"

#: So many languages at a time: to make one takes some milliseconds.
KEPT = 16
_HERE = Path(__file__).parent
_CATALOGUE = Path("LC_MESSAGES", "messenger.po")


class NoticeError(MessengerError):
    """A template or catalogue of the site can't be used. Mail waits in the sender's queue until it is mended."""

    temporary = True


#: What was made, by folder of templates and language; ``renewing`` makes it anew.
_made: dict[tuple[Path | None, str], SandboxedEnvironment] = {}


def environment(templates: Path | None, language: str) -> SandboxedEnvironment:
    """Return what renders the notice in *language*, with the site's own *templates* before ours."""
    found = _made.get((templates, language))
    if found is None:
        if len(_made) >= KEPT:
            _made.pop(next(iter(_made)), None)
        found = _made[templates, language] = _environment(templates, language)
    return found


@contextmanager
def renewing() -> Iterator[None]:
    """Read catalogues again, and look for new files; if that or what is inside raises, all is as before."""
    before = dict(_made)
    try:
        _made.update({key: _environment(*key) for key in before})
        yield
    except BaseException:
        _made.update(before)
        raise


def _environment(templates: Path | None, language: str) -> SandboxedEnvironment:
    folders = [templates] if templates else []
    if templates and not templates.is_dir():
        raise NoticeError(f"{templates}: no such folder; make it, or leave out [notice] templates")
    made = SandboxedEnvironment(
        loader=ChoiceLoader([FileSystemLoader(folder) for folder in (*folders, _HERE / "templates")]),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        extensions=["jinja2.ext.i18n"],
    )
    catalogue = _catalogue([folder / "locale" for folder in (*folders, _HERE)], language)
    # What jinja2.ext.i18n adds to an environment is unknown to its type.
    made.install_gettext_translations(catalogue, newstyle=True)  # type: ignore[attr-defined]
    return made


def speaks(templates: Path | None, language: str) -> bool:
    """Whether there are texts in *language*, whole ones: a person may ask for a language, a site insists on its own."""
    try:
        environment(templates, language)
    except NoticeError:
        return False
    return True


def languages(templates: Path | None) -> list[str]:
    """Return the languages that have a catalogue, and that of the templates themselves."""
    folders = [folder / "locale" for folder in (templates, _HERE) if folder]
    return sorted({path.parts[-3] for folder in folders for path in folder.glob(f"*/{_CATALOGUE}")} | {SOURCE})


def render(made: SandboxedEnvironment, name: str, values: Mapping[str, object]) -> str:
    """Render the template *name*."""
    with named(made, name):
        return made.get_template(name).render(values)


@contextmanager
def named(made: SandboxedEnvironment, name: str) -> Iterator[None]:
    """Make a NoticeError that names file and line of whatever goes wrong with the template *name*."""
    try:
        yield
    except TemplateSyntaxError as error:
        raise NoticeError(f"{error.filename or name}, line {error.lineno}: {error.message}; {MEND}") from error
    except TemplateNotFound as error:
        raise NoticeError(
            f"{_file(made, name)}: can't read {error}; put it into that folder, and let both services read it"
        ) from error
    except (TemplateError, OSError, UnicodeDecodeError) as error:
        raise NoticeError(f"{_file(made, name)}: {error}; {MEND}") from error
    except Exception as error:  # a template is a program: it may raise anything
        raise NoticeError(f"{_file(made, name)}: {type(error).__name__}: {error}; {MEND}") from error


def _file(made: SandboxedEnvironment, name: str) -> str:
    loader = made.loader
    if isinstance(loader, ChoiceLoader):
        for folder in loader.loaders:
            if isinstance(folder, FileSystemLoader) and _may_be_there(path := Path(folder.searchpath[0], name)):
                return str(path)
    return name


def _may_be_there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a folder that is shut to us
        return True


def _catalogue(folders: list[Path], language: str) -> gettext.NullTranslations:
    if language == SOURCE:
        return gettext.NullTranslations()
    # de_AT is served by de where it has no catalogue of its own.
    for name in dict.fromkeys((language, language.partition("_")[0])):
        for folder in folders:
            path = folder / name / _CATALOGUE
            if path.is_file():
                return _read_catalogue(path)
    if language.partition("_")[0] == SOURCE:
        return gettext.NullTranslations()
    raise NoticeError(
        f"no notice in the language {language!r}, only in {', '.join(languages(folders[0].parent))};"
        f" choose one of them as [site] language, or write {folders[0] / language / _CATALOGUE}"
    )


def _read_catalogue(path: Path) -> gettext.NullTranslations:
    compiled = BytesIO()
    try:
        with path.open("rb") as file:
            catalogue = read_po(file, abort_invalid=True)
        write_mo(compiled, catalogue)
        compiled.seek(0)
        made = gettext.GNUTranslations(compiled)
    except (OSError, ValueError, PoFileError) as error:
        raise NoticeError(f"{path}: not a catalogue of gettext: {error}") from error
    if not any(message.id and message.string for message in catalogue):
        raise NoticeError(f"{path}: expected a catalogue of gettext, found no translated sentence in it")
    return made
