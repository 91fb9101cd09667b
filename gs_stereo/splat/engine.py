"""The CPU engine; native/splat/interface.h says what its functions take."""

from gs_stereo.native.library import Library

ENGINE = Library(name="splat", has_levels=True)
