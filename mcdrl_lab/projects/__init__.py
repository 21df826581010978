"""A project in one command: folders of hospitals in, configs, a plan and commands out.

``found_sites`` reads the folders, ``tower_choices`` holds what differs from model to
model, ``project_files`` and ``project_readme`` write the texts, ``new_project_command``
is the command.
"""
