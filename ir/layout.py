"""How the elements of a value lie in memory."""

LAYOUTS = ("auto", "nchw", "nhwc", "blocked", "t8x128", "t32x32")
