"""Everything that is compiled: the C++ sources, one folder a domain, and how the libraries are found and loaded."""
