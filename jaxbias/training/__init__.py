"""Training: from a recipe, as data, to trained weights that survive being killed.

`recipes` says what is trained how, `build` makes a task of it, `feeds` bring images to
`steps`, `loop` runs, evaluates and saves them, and `fit` puts all of it together;
`full_batch` trains thousands of small networks in one program.
"""
