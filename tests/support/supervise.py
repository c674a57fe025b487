"""A supervisor of three stand-in workers, as a program: `python supervise.py` in a folder of its own."""

import sys
from pathlib import Path

from service.process import supervisor
from service.settings import load_settings

settings = load_settings(port=0, operator_port=0).model_copy(update={"workers": 3, "log_format": "json"})
sys.exit(supervisor.run(settings, [sys.executable, str(Path(__file__).with_name("stand_in_worker.py"))]))
