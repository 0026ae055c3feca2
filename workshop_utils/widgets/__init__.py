"""What moves under the hand: sliders, players, plots that redraw themselves, and a browser of components."""
