package config

import (
	"fmt"
	"strings"
)

// manualIntro opens docs/config.md.
const manualIntro = `# Configuration

This page is made from the table of options in internal/config/option.go; to write it
anew: ` + "`go test ./internal/config -run TestManual -update`" + `.

## Where settings come from

A setting has one name. It is a flag (` + "`--max-job-size 1048576`" + `), a variable of the
environment (` + "`SPOKED_MAX_JOB_SIZE=1048576`" + `), or a key in a file (` + "`max-job-size = 1048576`" + `).
**A flag beats the variable, which beats the file, which beats the default.** The letters
are beanstalkd's flags, and mean what they mean there.

- An empty variable counts as unset. A variable that begins with SPOKED_ and is none of
  these is told of, and ignored.
- ` + "`-V`" + ` adds to what the variable and the file say; everything else replaces it.
- fsync-interval undoes a no-fsync that comes from further down, as ` + "`-f`" + ` undoes ` + "`-F`" + ` in
  beanstalkd.

## The file

` + "`--config FILE`" + ` or ` + "`SPOKED_CONFIG`" + ` names it. No file is read unless one is named. Its
language follows from its name: TOML (.toml) or YAML (.yaml, .yml). All keys are on one
level.

` + "```toml" + `
# /etc/spoked.toml
listen = "127.0.0.1"
journal = "/var/lib/spoked"
fsync-interval = 0
memory = "2GiB"
http-token-file = "/etc/spoked/tokens"
` + "```" + `

` + "```yaml" + `
# /etc/spoked.yaml
listen: 127.0.0.1
journal: /var/lib/spoked
fsync-interval: 0
memory: 2GiB
http-token-file: /etc/spoked/tokens
` + "```" + `

A key that there is not, one that is there twice, and a value that a flag could not have,
are mistakes: the server does not start (exit code 5), and says in which lines they are,
and what was probably meant:

` + "```" + `
spoked: /etc/spoked.toml:2: unknown key: max_job_size (did you mean max-job-size?)
spoked: /etc/spoked.toml:7: port: invalid port: 113000
` + "```" + `

Paths in the file are taken from the directory that the server is started in.

` + "`spoked config defaults`" + ` (` + "`--format yaml`" + `) prints a file with every option, its
description and its default, all out of force, to begin with.

## What is set, and where

    spoked config [show] [--json] [OPTIONS]     what a server would be started with
    spoked config defaults [--format toml|yaml] a file to begin with
    spoked config validate [--json] FILE        what is wrong with a file

The first takes the options of a server, its variables and its file, and prints a line
for each setting: its name, its value, and which file and line, variable or flag that is
from. ` + "`validate`" + ` exits with 1 if something is wrong.

## Reloading

HUP (` + "`systemctl reload spoked`" + `, or ` + "`kill -HUP`" + `) has a running server read the file again,
and the file of tokens. Its flags and variables stay, and go on beating the file. For each
setting that is another than before there is a line in the log: ` + "`reloaded`" + `, with the old
value and the new, or a warning that it needs a restart, which is repeated at every reload
until there is one or the file says otherwise. If anything in the file is wrong, nothing
is changed, and the log has the lines.

Nobody is disconnected, and no command is interrupted. A body that is on its way when
max-job-size is lowered is still taken. If memory is lowered, bodies are left to the
journal bit by bit; without a journal, puts are refused until there is less. Where bodies
are to be (bodies) is for jobs to come; those that are in the journal alone stay there.
fsync-interval can be changed, but not to 0 and not from it, for that is another way to
work. A server that runs as another user (user) must be able to read the files as that one.

Without a file, HUP reads the tokens again, and there is nothing else to be read. A server
that was started from a terminal which has been closed is told so by HUP, and stops.

## All settings

| key | flag | variable | default | reload |
|---|---|---|---|---|
`

// Manual returns the text of docs/config.md.
func Manual() string {
	var b strings.Builder
	b.WriteString(manualIntro)
	for _, o := range Options() {
		if o.Env == "" {
			continue
		}
		live := ""
		if o.Live {
			live = "yes"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", code(o.Key()), code(strings.TrimSpace(o.names())), code(o.Env), code(o.usual()), live)
	}
	group := ""
	for _, o := range Options() {
		if o.Env == "" {
			continue
		}
		if o.Group != group {
			group = o.Group
			fmt.Fprintf(&b, "\n### %s\n\n", group)
		}
		fmt.Fprintf(&b, "- %s: %s.\n", code(strings.TrimPrefix(o.Long, "--")), strings.ReplaceAll(o.Help, "\n", " "))
	}
	return b.String()
}

func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// usual returns the default in words.
func (o *Option) usual() string {
	switch {
	case o.Default != "" || o.get == nil:
		return o.Default
	case o.Value == "" && o.again == nil:
		return "false"
	case o.Value == "":
		return "0"
	}
	return ""
}
