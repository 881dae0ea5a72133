"""The clock that rings: `edgebnn-alarm`. Standard library, sqlite3 and sound only."""
