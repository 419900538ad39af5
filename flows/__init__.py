"""Flows, the Prefect executor and schedules.

These variables must be set before Prefect is imported. They turn off its telemetry and its routine messages.
"""

import os
import warnings

from itm.core.proxy import bypass_proxy_for_loopback

bypass_proxy_for_loopback()
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "itm")  # shows the library's log on the page of a run
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
os.environ.setdefault("PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL")  # the table shows what failed
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")
# The server that Prefect starts for a single flow; on a busy machine it needs more than the default of 20 seconds.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
# flows.server reports a home that cannot be written, and what to do.
warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")
