"""The Java buildpack, with a JDK and a Maven that are shell scripts and tell what they did."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from scripts import written

PACKS = Path(__file__).parents[2] / "deployer/buildpacks"
PACK = PACKS / "java"
PROFILE = PACKS / ".ours/java.profile.d"
JAVAC = '#!/bin/sh\necho "javac {version}"\n'
JAVA = """#!/bin/sh
case "$*" in
*--list-modules*) printf 'java.se@17\\njdk.httpserver@17\\njdk.javadoc@17\\n' ;;
*-version*) echo "{version}" ;;
esac
"""
JLINK = """#!/bin/sh
echo "jlink $*" >>"$SAID"
while [ "$1" != --output ]; do shift; done
mkdir -p "$2/bin" "$2/lib/security" && printf '#!/bin/sh\\n' >"$2/bin/java" && chmod +x "$2/bin/java"
"""
MAVEN = """#!/bin/sh
[ "$1" = --version ] && printf '\\033[1mApache Maven {version} (ab12)\\033[m\\n' && exit
echo "$(basename "$0") $* [$MAVEN_OPTS] [$MAVEN_USER_HOME] $JAVA_HOME" >>"$SAID"
printf '[INFO] done\\n\\033[0m'
case "$*" in *fails*) exit 1 ;; esac
"""
SPRING = "<groupId>org.springframework.boot</groupId><artifactId>spring-boot-starter</artifactId>"


def tool(path: Path, text: str) -> None:
    """A program that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def jdk(home: Path, version: str) -> Path:
    """A folder that looks like a JDK."""
    for name, text in {"javac": JAVAC, "java": JAVA, "jlink": JLINK}.items():
        tool(home / "bin" / name, text.replace("{version}", version))
    return home


def packed(folder: Path, archive: Path) -> str:
    """The address of a .tar.gz that holds the folder."""
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name)
    return archive.as_uri()


@pytest.fixture
def java(tmp_path: Path) -> SimpleNamespace:
    """`compiled(files, env)` runs bin/compile on an app of these files with Java 17.0.9 and Maven 3.8.7 about."""
    for name in ("java", ".ours"):
        shutil.copytree(PACKS / name, tmp_path / "packs" / name)
    folders = {name: tmp_path / name for name in ("app", "cache", "env")}
    for folder in folders.values():
        folder.mkdir()
    jdk(tmp_path / "stack/jdk", "17.0.9")
    tool(tmp_path / "stack/tools/mvn", MAVEN.replace("{version}", "3.8.7"))
    said = tmp_path / "said"

    def compiled(
        files: dict[str, str] | None = None, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        said.write_text("")
        for folder, texts in (("app", {"pom.xml": "", **(files or {})}), ("env", env or {})):
            written(folders[folder], texts)
        path = f"{tmp_path}/stack/jdk/bin:{tmp_path}/stack/tools:{os.environ['PATH']}"
        return subprocess.run(
            [tmp_path / "packs/java/bin/compile", *folders.values()],
            env={"PATH": path, "HOME": str(folders["app"]), "STACK": "debian-12", "SAID": str(said)},
            capture_output=True,
            text=True,
            check=False,
        )

    return SimpleNamespace(compiled=compiled, said=said, path=tmp_path, **folders)


def release(app: Path) -> str:
    return subprocess.run([PACK / "bin/release", app], capture_output=True, text=True, check=True).stdout


def test_maven_builds_the_app_and_the_dynos_get_a_java(java: SimpleNamespace) -> None:
    done = java.compiled()
    assert done.returncode == 0, done.stdout + done.stderr
    maven, jlink = java.said.read_text().splitlines()
    assert (
        "mvn -B -DoutputFile=target/mvn-dependency-list.log -DskipTests clean dependency:list install"
        in maven
    )
    assert f"-Dmaven.repo.local={java.cache}/.m2/repository" in maven
    assert maven.endswith(f"{java.path}/stack/jdk")
    assert "--add-modules java.se,jdk.httpserver " in jlink
    assert "--compress=2 " in jlink
    assert (java.app / ".jdk/bin/java").exists()
    assert sorted(path.name for path in (java.app / ".profile.d").iterdir()) == ["java.sh", "jdbc.sh"]
    assert f"JAVA_HOME={java.path}/stack/jdk" in (java.path / "packs/java/export").read_text()


def test_what_maven_says_is_shown_without_colours(java: SimpleNamespace) -> None:
    assert "\n       [INFO] done\n----->" in java.compiled().stdout


def test_the_java_of_the_dynos_is_made_once(java: SimpleNamespace) -> None:
    java.compiled()
    assert java.compiled().returncode == 0
    assert "jlink" not in java.said.read_text()
    assert (java.app / ".jdk/bin/java").exists()
    jdk(java.path / "stack/jdk", "17.0.10")
    java.compiled()
    assert "jlink" in java.said.read_text()


@pytest.mark.parametrize(
    "line",
    ["17", "17.0", "17.0.9", "openjdk-17"],
)
def test_a_pin_that_the_stacks_java_satisfies_is_taken(java: SimpleNamespace, line: str) -> None:
    done = java.compiled({"system.properties": f"# ours\njava.runtime.version = {line} \n"})
    assert "Using Java 17.0.9 of the stack" in done.stdout
    assert done.returncode == 0


def test_another_java_is_downloaded_once_and_builds_the_app(java: SimpleNamespace) -> None:
    address = packed(jdk(java.path / "jdk-21.0.1+12", "21.0.1"), java.path / "jdk-21-x.tar.gz")
    env = {"JAVA_DOWNLOAD_URL": address.replace("21-x", "{version}-x")}
    pin = {"system.properties": "java.runtime.version=21"}
    done = java.compiled(pin, env)
    assert done.returncode == 0, done.stderr
    assert "Downloading Java 21\n-----> Using Java 21.0.1\n" in done.stdout
    maven, jlink = java.said.read_text().splitlines()
    assert maven.endswith(str(next(java.cache.glob("jdk-*"))))
    assert "--compress=zip-6" in jlink
    assert "Downloading" not in java.compiled(pin, env).stdout


def test_java_8_has_no_jlink_but_a_folder_for_dynos(java: SimpleNamespace) -> None:
    home = jdk(java.path / "jdk8", "1.8.0_292")
    (home / "bin/jlink").unlink()
    tool(home / "jre/bin/java", "#!/bin/sh\n")
    (home / "jre/lib/security").mkdir(parents=True)
    env = {"JAVA_DOWNLOAD_URL": packed(home, java.path / "8.tar.gz")}
    done = java.compiled({"system.properties": "java.runtime.version=1.8"}, env)
    assert done.returncode == 0, done.stderr
    assert (java.app / ".jdk/bin/java").exists()


@pytest.mark.parametrize(
    ("files", "env", "told"),
    [
        ({"system.properties": "java.runtime.version=new"}, {}, "is no version"),
        (
            {"system.properties": "java.runtime.version=21"},
            {"JAVA_DOWNLOAD_URL": "file:///nowhere"},
            "asks for Java 21; the stack debian-12 has Java 17.0.9, and the download failed",
        ),
        ({"system.properties": "java.runtime.version=17.0.1"}, {}, "latest release of a generation only"),
        ({"system.properties": "maven.version=3.9"}, {}, "only a whole version"),
        (
            {"system.properties": "maven.version=3.9.1"},
            {"MAVEN_DOWNLOAD_URL": "file:///nowhere"},
            "asks for Maven 3.9.1; the stack debian-12 has Maven 3.8.7, and the download failed",
        ),
        ({}, {"MAVEN_SETTINGS_PATH": "none.xml"}, "no file at MAVEN_SETTINGS_PATH"),
        ({}, {"MAVEN_SETTINGS_URL": "file:///nowhere"}, "could not be downloaded"),
        ({}, {"MAVEN_CUSTOM_GOALS": "fails"}, "Maven could not build the app"),
    ],
)
def test_what_cannot_work_is_said_with_what_to_do(
    java: SimpleNamespace, files: dict[str, str], env: dict[str, str], told: str
) -> None:
    done = java.compiled(files, env)
    assert done.returncode == 1
    assert told in done.stderr
    assert " !     Next: " in done.stderr
    assert "file:" not in done.stderr


def test_a_java_that_is_not_the_one_asked_for_is_refused(java: SimpleNamespace) -> None:
    env = {"JAVA_DOWNLOAD_URL": packed(jdk(java.path / "jdk-22", "22.0.1"), java.path / "22.tar.gz")}
    done = java.compiled({"system.properties": "java.runtime.version=21"}, env)
    assert "what was downloaded is Java 22.0.1" in done.stderr
    assert done.returncode == 1


def test_the_apps_own_wrapper_is_preferred(java: SimpleNamespace) -> None:
    wrapper = {"mvnw": MAVEN, ".mvn/wrapper/maven-wrapper.properties": ""}
    assert java.compiled(wrapper).returncode == 0
    said = java.said.read_text()
    assert said.startswith("mvnw -B") and f"[{java.cache}/.m2]" in said
    java.compiled({"system.properties": "maven.version=3.8"})
    assert java.said.read_text().startswith("mvn -B")


def test_half_a_wrapper_is_told_of(java: SimpleNamespace) -> None:
    done = java.compiled({"mvnw": MAVEN})
    assert "maven-wrapper.properties is missing" in done.stdout
    assert java.said.read_text().startswith("mvn -B")


def test_another_maven_is_downloaded(java: SimpleNamespace) -> None:
    tool(java.path / "apache-maven-3.9.1/bin/mvn", MAVEN)
    address = packed(java.path / "apache-maven-3.9.1", java.path / "3.9.1.tar.gz")
    env = {"MAVEN_DOWNLOAD_URL": address.replace("3.9.1", "{version}")}
    done = java.compiled({"system.properties": "maven.version=3.9.1"}, env)
    assert done.returncode == 0, done.stderr
    assert "Using Maven 3.9.1" in done.stdout


@pytest.mark.parametrize(
    ("files", "env", "wanted"),
    [
        ({"settings.xml": ""}, {}, "--settings settings.xml"),
        ({"settings.xml": "", "ours.xml": ""}, {"MAVEN_SETTINGS_PATH": "ours.xml"}, "--settings ours.xml"),
        ({"settings.xml": "", ".m2/settings.xml": ""}, {}, "--settings .m2/settings.xml"),
        ({}, {"MAVEN_SETTINGS_URL": PACK.joinpath("bin/detect").as_uri()}, "--settings /tmp/"),
        ({}, {"MAVEN_CUSTOM_OPTS": "-Pa -Db=c"}, "list.log -Pa -Db=c clean"),
        ({}, {"MAVEN_CUSTOM_GOALS": "verify"}, "-DskipTests verify ["),
        ({}, {"MAVEN_JAVA_OPTS": "-Xmx2g"}, " -Xmx2g -D"),
    ],
)
def test_the_user_chooses_how_maven_is_run(
    java: SimpleNamespace, files: dict[str, str], env: dict[str, str], wanted: str
) -> None:
    done = java.compiled(files, env)
    assert done.returncode == 0, done.stderr
    assert wanted in java.said.read_text()


@pytest.mark.parametrize(
    ("name", "status"), [("pom.xml", 0), ("pom.yml", 0), ("pom.scala", 0), ("build.gradle", 1), (".jdk/x", 1)]
)
def test_java_apps_are_told_by_their_pom(tmp_path: Path, name: str, status: int) -> None:
    tool(tmp_path / name, "")
    done = subprocess.run([PACK / "bin/detect", tmp_path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (status, "" if status else "Java\n")


@pytest.mark.parametrize(
    ("pom", "web"),
    [
        (SPRING, "-Dserver.port=$PORT $JAVA_OPTS -jar $(ls -S target/*.[jw]ar | head -n 1)"),
        (
            "<groupId>io.quarkus</groupId>",
            "-Dquarkus.http.port=$PORT $JAVA_OPTS -jar target/quarkus-app/quarkus-run.jar",
        ),
        ("<groupId>io.micronaut</groupId>", "-Dmicronaut.server.port=$PORT $JAVA_OPTS"),
        ("<groupId>org.wildfly.swarm</groupId>", "-Dswarm.http.port=$PORT $JAVA_OPTS"),
    ],
)
def test_known_frameworks_need_no_procfile(tmp_path: Path, pom: str, web: str) -> None:
    (tmp_path / "pom.xml").write_text(pom)
    assert f"default_process_types:\n  web: java {web}" in release(tmp_path)
    (tmp_path / "Procfile").touch()
    assert release(tmp_path) == "---\ndefault_process_types: {}\n"


def test_other_apps_have_no_process_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").write_text("<project/>")
    assert release(tmp_path) == "---\ndefault_process_types: {}\n"


def profiled(name: str, env: dict[str, str], names: str, cgroup: Path | None = None) -> list[str]:
    """The values of variables after a profile script."""
    text = (PROFILE / name).read_text().replace("/sys/fs/cgroup", str(cgroup or "/nowhere"))
    ask = text + "\n" + "".join(f'printf "%s\\n" "${{{each}-unset}}"\n' for each in names.split())
    bare = {"PATH": os.environ["PATH"], "HOME": "/app", **env}
    done = subprocess.run(["bash", "-c", ask], env=bare, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        (512 << 20, "-XX:MaxRAM=536870912 -Xmx300m -Xss512k -XX:CICompilerCount=2"),
        (1 << 30, "-XX:MaxRAM=1073741824 -Xmx671m -XX:CICompilerCount=2"),
        (5 << 29, "-XX:MaxRAM=2684354560 -XX:MaxRAMPercentage=80.0"),
        (9223372036854771712, "-XX:MaxRAMPercentage=80.0"),
        (None, "-XX:MaxRAMPercentage=80.0"),
    ],
)
def test_java_fits_the_dyno(tmp_path: Path, limit: int | None, wanted: str) -> None:
    if limit:
        (tmp_path / "memory").mkdir()
        (tmp_path / "memory/memory.limit_in_bytes").write_text(f"{limit}\n")
    env = {"DYNO": "web.1", "JAVA_OPTS": "-Xmx1g"}
    assert profiled("java.sh", env, "JAVA_OPTS JAVA_TOOL_OPTIONS JAVA_HOME", tmp_path) == [
        f"-Dfile.encoding=UTF-8 {wanted} -Xmx1g",
        f"-Dfile.encoding=UTF-8 {wanted}",
        "/app/.jdk",
    ]


def test_tools_of_one_off_dynos_are_left_alone() -> None:
    assert profiled("java.sh", {"DYNO": "run.1234"}, "JAVA_TOOL_OPTIONS") == ["unset"]


@pytest.mark.parametrize(
    ("env", "url"),
    [
        (
            {"DATABASE_URL": "postgres://u:p%21@h:5432/d"},
            "jdbc:postgresql://h:5432/d?user=u&password=p%21&sslmode=require",
        ),
        (
            {"DATABASE_URL": "postgres://u:p%21@h/d", "CI": "true"},
            "jdbc:postgresql://h/d?user=u&password=p%21",
        ),
        (
            {"DATABASE_URL": "postgres://u:p%21@h/d?sslmode=disable"},
            "jdbc:postgresql://h/d?user=u&password=p%21&sslmode=disable",
        ),
        ({"DATABASE_URL": "postgresql://u:p%21@h/d"}, "unset"),
        ({"JAWSDB_URL": "mysql://u:p%21@h:3306/d"}, "jdbc:mysql://h:3306/d?user=u&password=p%21"),
        ({"JAWSDB_MARIA_URL": "mariadb://u:p%21@h/d"}, "jdbc:mariadb://h/d?user=u&password=p%21"),
        ({"DATABASE_URL": "postgres://u:p%21@h/d", "JDBC_DATABASE_URL": "jdbc:mine"}, "jdbc:mine"),
    ],
)
def test_databases_have_addresses_for_java(env: dict[str, str], url: str) -> None:
    names = "JDBC_DATABASE_URL SPRING_DATASOURCE_URL JDBC_DATABASE_USERNAME JDBC_DATABASE_PASSWORD"
    got = profiled("jdbc.sh", env, names)
    assert got[:2] == [url, url]
    assert got[2:] == (["unset", "unset"] if url in ("unset", "jdbc:mine") else ["u", "p!"])


def test_pools_and_named_databases_and_redis_are_told_too() -> None:
    env = {
        "DATABASE_URL": "postgres://u:p@h/d",
        "DATABASE_CONNECTION_POOL_URL": "postgres://u:p@pool/d",
        "HEROKU_POSTGRESQL_RED_URL": "postgres://r:p@red/d",
        "REDIS_URL": "redis://h",
        "SPRING_DATASOURCE_USERNAME": "mine",
    }
    names = "JDBC_DATABASE_URL DATABASE_CONNECTION_POOL_JDBC_URL HEROKU_POSTGRESQL_RED_JDBC_URL HEROKU_POSTGRESQL_RED_JDBC_USERNAME SPRING_DATA_REDIS_URL SPRING_DATASOURCE_URL"
    pool = "jdbc:postgresql://pool/d?user=u&password=p&sslmode=require"
    red = "jdbc:postgresql://red/d?user=r&password=p&sslmode=require"
    assert profiled("jdbc.sh", env, names) == [pool, pool, red, "r", "redis://h", "unset"]
