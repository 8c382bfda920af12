"""Bring the reader's catalogues up to date with its words: `python -m scripts.catalogues`.

Translations that are there stay; new words come in empty, words that are gone leave. A test fails until all are filled
in. A new language is a folder reader/messenger_reader/locale/<language>/LC_MESSAGES/ with an empty messenger_reader.po.
"""

from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

#: No dates and no names: a catalogue changes when its words do.
HEADER = """\
# The reader in {name}.
msgid ""
msgstr ""
"Project-Id-Version: webmail-messenger\\n"
"Language: {locale}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"
"Plural-Forms: {plurals}\\n"
"""
READER = Path(__file__).parents[1] / "reader" / "messenger_reader"
METHODS = [("**.py", "python"), ("templates/**.html", "jinja2")]
OPTIONS = {"templates/**.html": {"trimmed": "true"}}


def template() -> Catalog:
    """Every word of the reader that is to be translated."""
    words = Catalog(project="Webmail Messenger", charset="utf-8")
    found = extract_from_dir(READER, METHODS, OPTIONS, keywords={"_": None, "gettext": None, "ngettext": (1, 2)})
    for filename, _, message, comments, context in found:
        words.add(message, None, [(filename, 0)], auto_comments=comments, context=context)
    return words


def main() -> None:
    words = template()
    for path in READER.glob("locale/*/LC_MESSAGES/messenger_reader.po"):
        with path.open("rb") as file:
            catalogue = read_po(file, locale=path.parents[1].name)
        catalogue.update(words, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        body = BytesIO()
        write_po(body, catalogue, omit_header=True, include_lineno=False, sort_output=True, width=110)
        header = HEADER.format(
            name=catalogue.locale.english_name, locale=catalogue.locale, plurals=catalogue.plural_forms
        )
        path.write_text(f"{header}\n{body.getvalue().decode().strip()}\n")
        empty = [message.id for message in catalogue if message.id and not message.string]
        print(f"{path}: {len(catalogue)} messages, {len(empty)} to translate")


if __name__ == "__main__":
    main()
