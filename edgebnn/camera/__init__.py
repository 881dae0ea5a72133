"""Frame sources behind one interface (`frame.Source`): picture files, folders and videos (`files`)."""
