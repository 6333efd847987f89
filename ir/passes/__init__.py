"""Graph passes, one a file: a pass is a pure function from Graph to Graph."""
