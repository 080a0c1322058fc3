"""What the section on retrieval asks: documents of this machine, and questions with answers.

The documents are the long descriptions of the installed Debian packages (elsewhere those of the
installed Python distributions), one of each source package, and the docstrings of the standard
library, one document of each module. The questions are of three kinds:

- packages: a package's one-line synopsis, for its long description. People write both; a synopsis
  that the description repeats is left out.
- by hand: questions as programmers ask them, written for this benchmark from what they want to do,
  not from the text of the answer; a chunk of any of the modules named is an answer.
- functions: the first sentence of a function's docstring, which is taken out of the document, for
  the rest of it. Only these are made by rule alone: less than half.
"""

from __future__ import annotations

import ast
import importlib.metadata
import re
import sysconfig
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator

KINDS = ("packages", "by hand", "functions")
FUNCTIONS = 150
PACKAGES = Path("/var/lib/dpkg/status")
ENOUGH_PACKAGES = 100
STDLIB = Path(sysconfig.get_path("stdlib"))
NOT_DOCUMENTATION = frozenset(
    {"distutils", "encodings", "idlelib", "lib2to3", "site-packages", "test", "tests"}
)

# Modules that answer, and a question.
BY_HAND = """
argparse optparse getopt | How do I read command line options and flags in my script?
argparse | Show a help message that lists what arguments my program takes
shutil | I want to copy a whole folder with everything in it somewhere else
shutil | delete a directory even if it is not empty
shutil | how much free space is left on the disk
tempfile | I need a scratch file that disappears when I am done with it
json json.decoder json.encoder | turn a Python dict into text that JavaScript can read
json.tool | pretty-print a JSON document in the terminal
csv | read a spreadsheet that was exported with commas between the values
csv | guess which delimiter separates the columns
sqlite3 | small SQL database in a single file without a server
pickle copyreg | save arbitrary Python objects to disk and load them again later
shelve dbm | a dictionary that stays on disk between runs of a program
gzip | open a .gz file
zipfile | unpack a zip archive
tarfile | extract a tarball safely, without files landing outside of the target
bz2 lzma gzip | compress data harder than zip does
hashlib | fingerprint of a file to see whether it has changed
hmac | check that a message really comes from somebody who knows the shared key
secrets | generate a password that nobody can guess
random | shuffle a deck of cards
random | pick a winner by chance, some having better odds than others
statistics | what is the average and how far do the numbers spread around it
fractions | exact arithmetic with one third
datetime calendar | how many days are there between two dates
calendar | which weekday does a month start with
sched | run a task at a later moment
timeit | which of two snippets is faster
cProfile profile pstats | find out where my program spends its time
tracemalloc | find out which lines use up the memory
threading | do several things at once inside of one process
threading | protect a variable from being changed by two workers simultaneously
queue asyncio.queues multiprocessing.managers | hand over jobs from producers to consumers safely
concurrent.futures concurrent.futures.process multiprocessing.pool | spread work over all cores
multiprocessing.shared_memory | let two processes see the same bytes without copying them
subprocess asyncio.subprocess | start another program and get what it prints
shlex | split a command the way the shell would do it
asyncio.tasks asyncio.timeouts asyncio | give up waiting for a coroutine after ten seconds
asyncio.runners asyncio | how to start an async main function
asyncio.tasks asyncio.taskgroups | wait until all of a bunch of coroutines have finished
socket | listen on a port and accept connections
socketserver | a server that answers each client in its own thread
ssl | encrypt a network connection and verify the certificate of the other side
http.server | serve the files of this folder over the web for a quick test
urllib.request http.client | download a web page
urllib.parse | take a URL apart into host, path and parameters
urllib.parse | escape special characters so that they can be put in a link
urllib.robotparser | may a crawler visit this page
http.cookies http.cookiejar | remember the login of a site between requests
smtplib | send a mail from a script
imaplib poplib | fetch the messages in my inbox
email email.message email.mime.multipart email.mime.base | build a message with a picture attached
mailbox | go through an old mbox archive
ftplib | upload something to an old FTP server
html html.parser | escape angle brackets so that text can be shown on a page
html.parser | pull the links out of a web page
xml.etree.ElementTree xml.dom.minidom | change an attribute in an XML document
xmlrpc.client xmlrpc.server | call a function on a remote machine through XML
re | find all matches of a pattern in a string
fnmatch glob pathlib | find files by wildcard such as *.txt
pathlib os posixpath | get the extension of a file name
os | go through all subfolders recursively
filecmp | are these two folders the same
difflib | show what changed between two versions of a text
difflib | closest spelling of a mistyped word
textwrap | break a long paragraph into lines of 70 characters
textwrap | strip the common indentation of a multi-line string
string | fill placeholders in a message with values
pprint | print a nested structure so that people can read it
reprlib | shorten the output of huge lists
collections | count how often each word occurs
collections | a double-ended list that is fast at both ends
heapq | always get the smallest item first
bisect | insert into a list that must stay sorted
graphlib | in which order must jobs run that depend on each other
functools | remember results of an expensive function
functools | fix some arguments of a function in advance
contextlib | make my own with statement from a generator
contextlib | ignore a certain exception
dataclasses | classes with fields without writing the constructor by hand
enum | a fixed set of named constants
abc | force subclasses to implement a method
copy | duplicate an object together with everything inside of it
weakref | cache that does not keep its objects alive
typing | declare that a function accepts either a string or nothing
inspect | which parameters does this function take
ast | parse source code into a tree
dis | look at the bytecode of a function
tokenize | split Python source into its smallest parts
traceback | print where an error happened without stopping
pdb bdb | step through my code line by line
logging logging.handlers | write messages to a file that is rotated when it gets too big
logging logging.config | set up loggers from a dictionary
warnings | hide deprecation messages
unittest unittest.case | test that a function raises an error
unittest.mock | replace a part of the system with a fake during a test
doctest | check that the examples in my documentation still work
configparser | read settings from an INI file
gettext | translate the messages of my program
locale | format numbers the way it is done in Germany
uuid | a globally unique identifier
ipaddress | does this address belong to that subnet
getpass | ask for a secret without showing what is typed
curses | draw in a text terminal
tkinter tkinter.messagebox tkinter.simpledialog | ask the user a yes or no question in a window
turtle | draw simple pictures to teach children
wave | read a sound file
colorsys | convert red green blue to hue and saturation
base64 | turn binary data into text for a mail
venv | isolate the dependencies of a project
pkgutil importlib.util importlib | load a module whose name is only known at run time
importlib.metadata | which version of a package is installed
importlib.resources | read a data file that comes with my package
platform | which operating system am I on
webbrowser | open a page in the user's browser
"""


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked, which documents answer it, and where in them, if not anywhere."""

    text: str
    answers: frozenset[str]
    kind: str
    span: tuple[int, int] | None = None

    def is_answer(self, chunk: Any) -> bool:
        if chunk.document_id not in self.answers:
            return False
        return self.span is None or (chunk.start < self.span[1] and chunk.end > self.span[0])


def collect(generator: random.Random) -> tuple[dict[str, str], list[Question], str]:
    """Documents, questions, and what the packages are."""
    packages, kind = debian_packages(), "installed Debian packages"
    if len(packages) < ENOUGH_PACKAGES:
        packages, kind = python_distributions(), "installed Python distributions"
    documents: dict[str, str] = {}
    questions: list[Question] = []
    for name, (synopsis, text) in packages.items():
        documents[f"package/{name}"] = f"{name}\n\n{text}"
        told = " ".join(text.lower().split())
        if len(synopsis.split()) >= 3 and synopsis.lower() not in told:
            answers = frozenset({f"package/{name}"})
            questions.append(Question(synopsis, answers, "packages"))
    modules = dict(module_docstrings())
    questions += function_questions(modules, generator, documents)
    for line in BY_HAND.strip().splitlines():
        named, _, text = line.partition(" | ")
        answers = frozenset(named.split()) & documents.keys()  # Modules come and go.
        if answers:
            questions.append(Question(text, answers, "by hand"))
    return documents, questions, kind


def debian_packages() -> dict[str, tuple[str, str]]:
    """Synopsis and long description of one package of each source, by name."""
    if not PACKAGES.is_file():
        return {}
    sources: dict[str, dict[str, tuple[str, str]]] = {}
    for paragraph in PACKAGES.read_text(encoding="utf-8").split("\n\n"):
        fields = dict(re.findall(r"^([\w-]+): *(.*(?:\n[ \t].*)*)", paragraph, re.MULTILINE))
        synopsis, _, rest = fields.get("Description", "").partition("\n")
        text = re.sub(r"^ \.?", "", rest, flags=re.MULTILINE).strip()
        if len(text) >= 100 and not re.search("transitional|dummy", synopsis):
            name = fields["Package"]
            source = fields.get("Source", name).split()[0]
            sources.setdefault(source, {})[name] = (synopsis, text)
    chosen = [
        source if source in found else max(found, key=lambda name: len(found[name][1]))
        for source, found in sources.items()
    ]
    return {name: found[name] for name, found in zip(chosen, sources.values(), strict=True)}


def python_distributions() -> dict[str, tuple[str, str]]:
    """Summary and description of what is installed, by name."""
    found = {}
    for distribution in importlib.metadata.distributions():
        metadata: Any = distribution.metadata
        summary, text = metadata["Summary"], metadata.get_payload() or metadata["Description"]
        if summary and text and len(text) >= 100:
            text = re.sub(re.escape(summary.strip(" .")), "", text, flags=re.IGNORECASE)
            found[metadata["Name"].lower()] = (summary, text)
    return dict(sorted(found.items()))


@dataclass(frozen=True, slots=True)
class Entry:
    """A docstring, and whether it is a function's."""

    name: str
    text: str
    is_function: bool


def module_docstrings() -> Iterator[tuple[str, list[Entry]]]:
    """The public docstrings of each module of the standard library."""
    for path in sorted(STDLIB.rglob("*.py")):
        parts = path.relative_to(STDLIB).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        if NOT_DOCUMENTATION & set(parts) or any(part.startswith("_") for part in parts):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Old sources have old escapes in their strings.
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue
        name = ".".join(parts)
        if entries := list(entries_of(tree, name)):
            yield name, entries


def entries_of(node: Any, name: str) -> Iterator[Entry]:
    text = ast.get_docstring(node)
    if text:
        yield Entry(name, text, isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))
    for part in ast.iter_child_nodes(node):
        is_documented = isinstance(part, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if is_documented and not part.name.startswith("_"):
            yield from entries_of(part, f"{name}.{part.name}")


def function_questions(
    modules: dict[str, list[Entry]], generator: random.Random, documents: dict[str, str]
) -> list[Question]:
    """Makes the documents of modules, and questions of sentences that are left out of them."""
    sentences: dict[str, Entry] = {}
    for entries in modules.values():
        for entry in entries:
            first, _, rest = entry.text.partition("\n\n")
            sentence = " ".join(first.split())
            is_one = sentence.endswith(".") and ". " not in sentence
            if entry.is_function and is_one and sentence.count(" ") >= 5 and len(rest) >= 120:
                sentences.setdefault(sentence, entry)
    asked = generator.sample(sorted(sentences), min(FUNCTIONS, len(sentences)))
    left_out = {sentences[sentence].name: sentence for sentence in asked}
    questions = []
    for module, entries in modules.items():
        text = ""
        for entry in entries:
            start = len(text)
            sentence = left_out.get(entry.name)
            shown = entry.text.partition("\n\n")[2].strip() if sentence else entry.text
            text += f"{entry.name}\n{shown}\n\n"
            if sentence:
                span = (start, len(text) - 2)
                questions.append(Question(sentence, frozenset({module}), "functions", span))
        documents[module] = text
    return questions
