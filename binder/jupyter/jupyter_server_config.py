"""How the course's Jupyter servers differ from any other: `make lab`, Binder and hubs all read this file."""

from cnnviz_widgets.jupyter import strip_widget_views

c = get_config()  # noqa: F821  (Jupyter defines it for files like this one)

# A reader's saved copy shows its pictures also where no kernel runs.
c.ContentsManager.pre_save_hook = strip_widget_views

# Nothing is fetched from elsewhere: no news, no look for a newer JupyterLab, no catalogue of extensions.
c.LabApp.news_url = None
c.LabApp.check_for_updates_class = "jupyterlab.NeverCheckForUpdate"
c.LabApp.extension_manager = "readonly"

# Lessons need no language servers, and looking for them starts other programs.
c.LanguageServerManager.autodetect = False
