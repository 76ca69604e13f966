"""`python -m golub.migrations "what changed"` drafts a revision from the difference between model and migrations."""

import sys
import tempfile
from pathlib import Path

from sqlalchemy import create_engine

from golub.migrations import draft, upgrade

with tempfile.TemporaryDirectory() as folder:
    engine = create_engine(f"sqlite:///{Path(folder) / 'scratch.db'}")
    upgrade(engine)
    draft(engine, sys.argv[1])
