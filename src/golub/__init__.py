"""Golub takes every message that Avito sends to a seller and keeps it.

Importing the package puts the SQLite that we ship in the place of the interpreter's own: releases before 3.51.3
can corrupt a database when its write-ahead log is reset, and most systems still carry such a release.
"""

import sys

try:
    import pysqlite3 as _sqlite  # pyright: ignore[reportMissingTypeStubs]
    import pysqlite3.dbapi2 as _dbapi2  # pyright: ignore[reportMissingTypeStubs]
except ImportError:  # no wheel for this platform: the interpreter's SQLite serves, and the doctor says how old it is
    pass
else:
    sys.modules["sqlite3"] = _sqlite
    sys.modules["sqlite3.dbapi2"] = _dbapi2

__version__ = "0.1.0"
