"""The documents, and the programs that write the parts of them that follow from the code."""
