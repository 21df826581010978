"""``new-project``: makes configs, a plan and commands from folders of hospitals.

``found_sites`` finds the hospitals, ``tower_choices`` holds the settings of each model,
``project_files`` and ``project_readme`` write the texts, ``new_project_command`` is the
command.
"""
