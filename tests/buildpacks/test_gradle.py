"""The Gradle buildpack, with a wrapper and a JDK that are shell scripts and tell what they did."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripts import written

PACKS = Path(__file__).parents[2] / "deployer/buildpacks"
PACK = PACKS / "gradle"
TOOLS = {
    "javac": 'echo "javac 17.0.9"',
    "java": 'case "$*" in *--list-modules*) echo java.se@17 ;; esac',
    "jlink": 'while [ "$1" != --output ]; do shift; done; mkdir -p "$2/bin" "$2/lib/security"',
}
GRADLEW = """#!/bin/sh
echo "gradlew $* [$GRADLE_USER_HOME] $JAVA_HOME $GIVEN" >>"$SAID"
case "$*" in
*tasks*) printf '%b' "$TASKS"; [ "$TASKS" != broken ] ;;
*fails*) echo "its own words"; exit 1 ;;
esac
"""
WRAPPER = {
    "gradlew": GRADLEW,
    "gradle/wrapper/gradle-wrapper.jar": "",
    "gradle/wrapper/gradle-wrapper.properties": "",
}


@pytest.fixture
def gradle(tmp_path: Path) -> SimpleNamespace:
    """`compiled(env, tasks, files)` runs bin/compile on an app of these files, whose wrapper knows these tasks."""
    for name in ("gradle", ".ours"):
        shutil.copytree(PACKS / name, tmp_path / "packs" / name)
    for name, text in TOOLS.items():
        tool = tmp_path / "jdk/bin" / name
        tool.parent.mkdir(parents=True, exist_ok=True)
        tool.write_text(f"#!/bin/sh\n{text}\n")
        tool.chmod(0o755)
    folders = {name: tmp_path / name for name in ("app", "cache", "env")}
    said = tmp_path / "said"
    for folder in folders.values():
        folder.mkdir()

    def compiled(
        env: dict[str, str] | None = None, tasks: str = "", files: dict[str, str] = WRAPPER
    ) -> subprocess.CompletedProcess[str]:
        for folder, texts in (("app", files), ("env", env or {})):
            written(folders[folder], texts)
        path = f"{tmp_path}/jdk/bin:{os.environ['PATH']}"
        return subprocess.run(
            [tmp_path / "packs/gradle/bin/compile", *folders.values()],
            env={"PATH": path, "HOME": str(folders["app"]), "SAID": str(said), "TASKS": tasks},
            capture_output=True,
            text=True,
            check=False,
        )

    return SimpleNamespace(compiled=compiled, said=said, path=tmp_path, **folders)


def release(app: Path) -> str:
    return subprocess.run([PACK / "bin/release", app], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize(
    ("env", "tasks", "wanted"),
    [
        ({}, "build - all\\nstage - ours\\n", "stage"),
        ({}, "build - all\\nstage\\n", "stage"),
        ({}, "build - all\\nstageMore - no\\n", "build -x test"),
        ({"GRADLE_TASK": "shadowJar -x check"}, "stage", "shadowJar -x check"),
    ],
)
def test_the_task_is_the_users_or_stage_or_build(
    gradle: SimpleNamespace, env: dict[str, str], tasks: str, wanted: str
) -> None:
    done = gradle.compiled({**env, "GIVEN": "a config var"}, tasks)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"-----> Running ./gradlew {wanted}\n" in done.stdout
    words = f"gradlew {wanted} [{gradle.cache}/.gradle] {gradle.path}/jdk a config var\n"
    assert words in gradle.said.read_text()


def test_the_dynos_get_a_java_and_the_cache_keeps_what_gradle_built(gradle: SimpleNamespace) -> None:
    (gradle.cache / ".gradle/daemon").mkdir(parents=True)
    gradle.compiled()
    assert (gradle.app / ".jdk/bin").is_dir()
    assert (gradle.app / ".profile.d/java.sh").exists()
    settings = (gradle.cache / ".gradle/gradle.properties").read_text()
    assert "org.gradle.caching=true\n" in settings
    assert f"org.gradle.projectcachedir={gradle.cache}/.gradle-project\n" in settings
    assert not (gradle.cache / ".gradle/daemon").exists()
    assert "Making the Java" not in gradle.compiled().stdout


def test_gradle_is_asked_for_its_tasks_when_the_build_files_change(gradle: SimpleNamespace) -> None:
    asking = "Asking Gradle for its tasks"
    assert asking in gradle.compiled(tasks="stage").stdout
    again = gradle.compiled(tasks="")
    assert asking not in again.stdout
    assert "Running ./gradlew stage" in again.stdout
    changed = gradle.compiled(tasks="", files={**WRAPPER, "sub/build.gradle": "// new\n"})
    assert asking in changed.stdout
    assert "Running ./gradlew build -x test" in changed.stdout


@pytest.mark.parametrize("missing", sorted(WRAPPER))
def test_without_its_wrapper_no_app_is_built(gradle: SimpleNamespace, missing: str) -> None:
    files = {name: text for name, text in WRAPPER.items() if name != missing}
    done = gradle.compiled(files={**files, "build.gradle": ""})
    assert done.returncode == 1
    assert f" !     {missing} is missing" in done.stderr
    assert "Next: run `gradle wrapper`" in done.stderr


@pytest.mark.parametrize(
    ("env", "tasks", "told"),
    [
        ({"GRADLE_TASK": "fails"}, "", "Gradle could not build the app"),
        ({}, "broken", "Gradle could not start"),
    ],
)
def test_a_failure_shows_gradles_own_words(
    gradle: SimpleNamespace, env: dict[str, str], tasks: str, told: str
) -> None:
    done = gradle.compiled(env, tasks)
    assert done.returncode == 1
    assert f"       {tasks or 'its own words'}\n" in done.stdout
    assert told in done.stderr


def test_another_java_that_cannot_be_had_is_said(gradle: SimpleNamespace) -> None:
    files = {**WRAPPER, "system.properties": "java.runtime.version=21\n"}
    done = gradle.compiled({"JAVA_DOWNLOAD_URL": "file:///nowhere"}, files=files)
    assert "asks for Java 21" in done.stderr
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("name", "status"),
    [("gradlew", 0), ("build.gradle", 0), ("settings.gradle.kts", 0), ("pom.xml", 1), ("app.gradle", 1)],
)
def test_gradle_apps_are_told_by_their_files(tmp_path: Path, name: str, status: int) -> None:
    (tmp_path / name).touch()
    done = subprocess.run([PACK / "bin/detect", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "" if status else "Gradle\n")


@pytest.mark.parametrize(
    ("name", "text", "web"),
    [
        (
            "build.gradle",
            "id 'org.springframework.boot' version '3.3.0'",
            "-Dserver.port=$PORT $JAVA_OPTS -jar $(ls -S build/libs/*.[jw]ar | head -n 1)",
        ),
        ("gradle/libs.versions.toml", 'boot = { id = "org.springframework.boot" }', "-Dserver.port=$PORT"),
        ("build.gradle.kts", 'id("io.micronaut.application")', "-Dmicronaut.server.port=$PORT"),
        ("build.gradle", "id 'io.quarkus'", "-Dquarkus.http.port=$PORT"),
    ],
)
def test_known_frameworks_need_no_procfile(tmp_path: Path, name: str, text: str, web: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    assert f"default_process_types:\n  web: java {web}" in release(tmp_path)
    (tmp_path / "Procfile").touch()
    assert release(tmp_path) == "---\ndefault_process_types: {}\n"


def test_other_apps_have_no_process_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "build.gradle").write_text("plugins { id 'application' }")
    assert release(tmp_path) == "---\ndefault_process_types: {}\n"


def test_of_several_jars_the_one_that_holds_all_is_run(tmp_path: Path) -> None:
    (tmp_path / "build.gradle").write_text("id 'org.springframework.boot'")
    (tmp_path / "build/libs").mkdir(parents=True)
    for name, size in {"app-1-plain.jar": 10, "app-1.jar": 1000, "app-1-sources.jar": 20}.items():
        (tmp_path / "build/libs" / name).write_bytes(b"x" * size)
    command = release(tmp_path).split("web: ")[1].replace("java ", "echo ", 1)
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("-jar build/libs/app-1.jar\n")
