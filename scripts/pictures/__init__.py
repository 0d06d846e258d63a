"""The pictures of the documentation, each an SVG drawn from what it shows: `make pictures`. Ships with nothing."""
