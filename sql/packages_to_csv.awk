# Turns Debian package records (apt-cache dumpavail, /var/lib/dpkg/status) into CSV:
# name, version, section, priority, maintainer, architecture, installed_kib,
# download_bytes, depends, description. The first record of a name counts. Plain POSIX awk.

function quoted(text) {
  gsub(/"/, "\"\"", text)
  return "\"" text "\""
}

function finish_record() {
  if (("Package" in field) && ("Version" in field) && !(field["Package"] in seen)) {
    seen[field["Package"]] = 1
    print quoted(field["Package"]) "," quoted(field["Version"]) "," \
      quoted(field["Section"]) "," quoted(field["Priority"]) "," \
      quoted(field["Maintainer"]) "," quoted(field["Architecture"]) "," \
      quoted(field["Installed-Size"]) "," quoted(field["Size"]) "," \
      quoted(field["Depends"]) "," quoted(field["Description"])
  }
  split("", field)
}

/^$/ {
  finish_record()
  next
}

/^[A-Za-z]/ {
  colon = index($0, ":")
  value = substr($0, colon + 1)
  sub(/^[ \t]+/, "", value)
  field[substr($0, 1, colon - 1)] = value
}

END {
  finish_record()
}
