"""orjson is imported where it pays, and changes nothing that anyone sees."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from json_values import json_values, same

from koru_delta import _json

SCRIPT = """
import sys
from koru_delta import _json, SyncDatabase
assert "orjson" not in sys.modules, "by the import"
value = {"a": [1.5, 2**64 - 1, -(2**63), "é", None, True], "b": {}}
data = b'{"a":[1.5,18446744073709551615,-9223372036854775808,"\\u00e9",null,true],"b":{}}'
for _ in range(_json._FIRST_VALUES):
    assert _json.loads(data) == value
assert _json.options({"limit": 3}) == b'{"limit": 3}'
assert "orjson" not in sys.modules, "by a few values"
if sys.argv[1] == "decode":
    assert _json.loads(data) == value
else:
    assert _json.encode(value)[1] == data.decode("unicode_escape").encode()
assert "orjson" in sys.modules
assert _json.loads(data) == value
assert _json.options({"limit": 3}) == b'{"limit":3}'
"""


@pytest.mark.parametrize("by", ["decode", "encode"])
def test_it_is_imported_once_that_pays(by: str) -> None:
    pytest.importorskip("orjson")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, by], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@given(json_values())
def test_the_first_values_are_decoded_alike(value: object) -> None:
    data = _json.encode(value)[1]
    assert same(_json._first_loads()(data), _json.loads(data))
