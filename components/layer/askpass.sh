#!/usr/bin/env bash
# Answers Git's questions for the name and password from mounted files.
case ${1:-} in
  Username*) exec cat "$CREDENTIALS/username" ;;
  *) exec cat "$CREDENTIALS/password" ;;
esac
