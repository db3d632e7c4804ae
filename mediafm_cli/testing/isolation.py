"""What importing a plugin and making its encoder does, seen from a fresh interpreter."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys

from mediafm_cli.api import Encoder
from mediafm_cli.testing.check import expect

_HEAVY = ("torch", "transformers", "open_clip", "tensorflow", "jax")
_TIMEOUT_S = 120

# Runs in a fresh interpreter: imports the plugin's module as the host would, makes the encoder if one is named, and
# prints what that loaded or opened. Arguments: module, file, qualified name, sys.path as JSON.
_IMPORT_PROBE = """
import functools, importlib, importlib.util, json, sys
module_name, file, qualname, path = sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4])
sys.path[:] = path
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event.startswith("socket.") else None)
try:
    found = importlib.util.find_spec(module_name)
except (ImportError, ValueError):
    found = None
if found is not None and file in ('', found.origin):
    module = importlib.import_module(module_name)
else:
    spec = importlib.util.spec_from_file_location("mediafm_checked_plugin", file)
    module = sys.modules["mediafm_checked_plugin"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
if qualname:
    functools.reduce(getattr, qualname.split("."), module)()
print(json.dumps({"opened": opened, "loaded": sorted(name for name in sys.modules if "." not in name)}))
"""


def check_import(encoder_class: type[Encoder]) -> None:
    """Importing the module and making the encoder loads no model library and opens no connection."""
    expect("<locals>" not in encoder_class.__qualname__, "the class stands inside a function, so nobody can import it")
    _expect_light(encoder_class.__module__, inspect.getfile(encoder_class), encoder_class.__qualname__)


def check_module_import(name: str) -> None:
    """Importing a module by its name loads no model library and opens no connection."""
    _expect_light(name, "", "")


def _expect_light(module: str, file: str, qualname: str) -> None:
    arguments = (module, file, qualname, json.dumps(sys.path))
    result = subprocess.run(
        [sys.executable, "-c", _IMPORT_PROBE, *arguments],
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )
    expect(result.returncode == 0, f"importing and making it failed: {result.stderr.strip()[-500:]}")
    seen = json.loads(result.stdout.splitlines()[-1])
    heavy = [name for name in _HEAVY if name in seen["loaded"]]
    expect(not heavy, f"importing and making it loads {', '.join(heavy)}; import that in load()")
    expect(not seen["opened"], f"importing and making it uses the network ({', '.join(sorted(set(seen['opened'])))})")
