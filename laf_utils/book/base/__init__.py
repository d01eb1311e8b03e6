"""What all pages share: style, tables, words, captions, reading of records, running a notebook."""
