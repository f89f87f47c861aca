"""The blocks of the report, a file each: a function from the report's data to HTML."""
