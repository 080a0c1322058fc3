"""What keeps a database in shape: compaction, copies, verification, salvage."""
