"""From the predictions of a slide to its heatmap in cells, and from there to pictures, polygons, lesions and scores."""
