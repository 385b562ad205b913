"""Everything that touches the world: media, speech detection, recognition, and the stores."""
