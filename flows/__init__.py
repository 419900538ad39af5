"""Order, fan-out and schedules of the tasks.

What is set here must be set before Prefect is imported: nothing goes to its makers, and the routine of a run is no news.
"""

import os

os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "true")
os.environ.setdefault("PREFECT_LOGGING_LEVEL", "WARNING")
os.environ.setdefault("PREFECT_LOGGING_EXTRA_LOGGERS", "itm")  # what the library says is seen on the page of its run
os.environ.setdefault("PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW", "ignore")
os.environ.setdefault(
    "PREFECT_LOGGING_HANDLERS_CONSOLE_LEVEL", "CRITICAL"
)  # the table tells what failed; the server has the rest
os.environ.setdefault("PREFECT_SERVER_LOGGING_LEVEL", "ERROR")
