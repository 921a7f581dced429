"""What each host tells of its dynos, what stands in the log of their memory, and who may ask."""

from __future__ import annotations

import json
import re
import socket
import time
from collections.abc import Callable, Iterator

import pytest
from campaign import HOSTS
from conftest import CHAOS, Shop
from load import HOSTS as ADDRESSES

pytestmark = pytest.mark.live

QUOTA, LIMIT, HELD = 64, 96, 80
"""MB of a dyno of the size tiny, and what the eater holds before it takes too much."""
LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"'
SAMPLE = re.compile(rf"([a-zA-Z_:][\w:]*)(\{{{LABEL}(?:,{LABEL})*\}})? (-?[0-9.]+(?:e[+-]?[0-9]+)?|[+-]Inf|NaN)")
ASK = 'python3 -c "import socket; socket.create_connection((\\"{}\\", 20515), 3)" 2>&1'
