#!/bin/bash
# offline_maven.sh FOLDER: let the Maven app in FOLDER (a copy!) be built where Maven Central cannot be reached.
#
# Debian packages Maven's plugins and all that they need as a Maven repository (/usr/share/maven-repo). This script
# downloads those packages with apt (needs root and Debian, installs nothing), and unpacks them into
# FOLDER/.maven-offline/{maven-repo,java}. FOLDER/settings.xml, which the buildpack `java` hands to Maven by itself,
# puts that repository in the place of Maven Central. The app's own files stay as they are; no config var is needed.
# The pom may name only plugins of the packages below, at the versions that Debian has; those that it does not name
# are asked for by Maven itself, at versions of its own, and Debian's are given for them.
set -euo pipefail

plugins=(
    libmaven-clean-plugin-java
    libmaven-compiler-plugin-java
    libmaven-dependency-plugin-java
    libmaven-install-plugin-java
    libmaven-jar-plugin-java
    libmaven-resources-plugin-java
    libsurefire-java
)

needed_packages() {
    apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces \
        --no-enhances "${plugins[@]}" maven |
        grep -E '^(ant|junit|maven|testng|velocity|lib[a-z0-9.+-]*-java)' | grep -v : | sort -u
}

unpack_packages() {
    local scratch
    scratch=$(mktemp -d)
    chmod 755 "$scratch"
    (cd "$scratch" && needed_packages | xargs apt-get -o APT::Sandbox::User=root download -qq)
    for package in "$scratch"/*.deb; do dpkg-deb --extract "$package" "$scratch/root"; done
    mkdir -p "$1"
    # the one's jars are relative links into the other
    cp -a "$scratch/root/usr/share/maven-repo" "$scratch/root/usr/share/java" "$1/"
    rm -rf "$scratch"
}

# Maven gives every plugin that names no plexus-utils the version 1.1.
provide_plexus_utils() {
    local home=$1/maven-repo/org/codehaus/plexus/plexus-utils
    local have
    have=$(find "$home" -name 'plexus-utils-[2-9]*.pom' | sort -V | tail -n 1)
    mkdir -p "$home/1.1"
    sed "s|<version>$(basename "$(dirname "$have")")</version>|<version>1.1</version>|" "$have" \
        >"$home/1.1/plexus-utils-1.1.pom"
    cp -L "${have%.pom}.jar" "$home/1.1/plexus-utils-1.1.jar"
}

# What Maven 3.9 asks for where the pom says nothing; the packages know the versions of Maven 3.8 already.
provide_defaults() {
    local name wanted have home=$1/maven-repo/org/apache/maven/plugins
    while read -r name wanted; do
        [[ ! -d $home/$name/$wanted ]] || continue
        have=$(find "$home/$name" -name "$name-*.jar" | sort -V | tail -n 1)
        mkdir "$home/$name/$wanted"
        relocation "$name" "$wanted" "$(basename "$(dirname "$have")")" >"$home/$name/$wanted/$name-$wanted.pom"
    done <<'EOF'
maven-clean-plugin 3.2.0
maven-compiler-plugin 3.13.0
maven-install-plugin 3.1.2
maven-jar-plugin 3.4.1
maven-resources-plugin 3.3.1
maven-surefire-plugin 3.2.5
EOF
}

relocation() {
    cat <<EOF
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>org.apache.maven.plugins</groupId>
  <artifactId>$1</artifactId>
  <version>$2</version>
  <distributionManagement>
    <relocation><version>$3</version></relocation>
  </distributionManagement>
</project>
EOF
}

# /app is where every build dyno has the app
repository() {
    cat <<EOF
        <$1>
          <id>central</id>
          <url>file:///app/.maven-offline/maven-repo</url>
          <releases><checksumPolicy>ignore</checksumPolicy></releases>
        </$1>
EOF
}

write_settings() {
    cat <<EOF
<settings>
  <profiles>
    <profile>
      <id>offline</id>
      <repositories>
$(repository repository)
      </repositories>
      <pluginRepositories>
$(repository pluginRepository)
      </pluginRepositories>
    </profile>
  </profiles>
  <activeProfiles>
    <activeProfile>offline</activeProfile>
  </activeProfiles>
</settings>
EOF
}

unpack_packages "$1/.maven-offline"
provide_plexus_utils "$1/.maven-offline"
provide_defaults "$1/.maven-offline"
write_settings >"$1/settings.xml"
