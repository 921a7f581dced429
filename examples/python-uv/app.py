"""A page made by Flask: which dyno and release answered, and a throw of the template's dice."""

import os

from flask import Flask, Response, render_template_string

app = Flask(__name__)

PAGE = """\
Hello from Python on {{ dyno }}, release {{ release }}
The dice say {{ range(1, 7) | random }}.
"""


@app.get("/")
def hello() -> Response:
    """The dyno's name and its release are in its environment."""
    dyno = os.environ.get("DYNO", "?")
    release = os.environ.get("HEROKU_RELEASE_VERSION", "?")
    return Response(render_template_string(PAGE, dyno=dyno, release=release), mimetype="text/plain")
