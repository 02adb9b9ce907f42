"""The page of a run: what came of it, why, and what to do next, in one HTML file.

`material` reads what a run holds; one module for each section says what is shown of it, as the
data classes of `parts`, and `verdict` what it comes to; `plots` and `pictures` draw; `page` makes
HTML of it. The page knows no task: figures and words come from the head.
"""
