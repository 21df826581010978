"""A project in one command: folders of hospitals in, configs, a plan and commands out.

``found_sites`` reads the folders, ``towers`` holds what differs from model to model,
``project_files`` writes the texts, ``new_project_command`` is the command.
"""
