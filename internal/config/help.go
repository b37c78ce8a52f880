package config

import (
	"fmt"
	"strings"
)

// helpColumn is where the descriptions begin, and helpNames the room before
// them: one column of indent and two between.
const (
	helpColumn = 35
	helpNames  = helpColumn - 3
)

// helpIntro stands above the options, with room for the program's name.
const helpIntro = `Use: %[1]s [OPTIONS]
     %[1]s COMMAND [OPTIONS] ...

spoked is a job queue server. It speaks beanstalkd's protocol and takes
beanstalkd's options. The name in capitals below an option is an environment
variable that sets it too, and the long name is its key in a file (--config). A
flag beats the variable, which beats the file, and an empty variable counts as
unset.

With a command it is the tool to operate a server, ours or beanstalkd: put,
reserve, delete, release, bury, touch, kick, peek, jobs, move, tubes, clear,
pause, resume, tail, stats, top, ping, drain, undrain, export, import, backup,
journal, bench, config, completion. Each has help of its own: put -h. The
command help lists them.
`

// helpOutro stands below the options.
const helpOutro = `
Signals:
 TERM, INT   stop: accept nobody, finish what is under way, exit; a second one
             stops at once
 HUP         read the files of --config and --http-token-file again, apply what
             can be changed in a running server, and log what cannot
 USR1        drain: refuse new jobs from now on, go on serving the old ones

Exit codes:
 0           stopped as asked, or -v, or -h
 5           an option, a variable or the file makes no sense
 10          -b: the directory cannot be used, is in use already, or is damaged
 11          -b: writing or syncing has failed while serving
 32, 33, 34  -u: users cannot be looked up; no such user; cannot become it
 111         cannot listen on the address
 1           any other failure

Examples:
 spoked                            serve every address of this host, port 11300
 spoked -l 127.0.0.1 -p 11400 -V   serve this host only, and say more
 spoked -l unix:/run/spoked.sock   serve a unix socket
 spoked -b /var/lib/spoked -f 0    keep jobs on disk, synced before each reply
 spoked -u nobody -z 1048576       not as root, and with jobs of up to 1 MiB
 spoked --config /etc/spoked.toml  read the options from a file
 SPOKED_LOOPS=4 spoked             set an option by its variable
`

// Help returns the help text of a program of this name.
func Help(name string) string {
	var b strings.Builder
	fmt.Fprintf(&b, helpIntro, name)
	group := ""
	for _, option := range Options() {
		if option.Group != group {
			group = option.Group
			fmt.Fprintf(&b, "\n%s:\n", group)
		}
		option.writeHelp(&b)
	}
	b.WriteString(helpOutro)
	return b.String()
}

// writeHelp writes the option's names beside the lines of its description.
func (o Option) writeHelp(b *strings.Builder) {
	names := o.names()
	for line := range strings.Lines(o.description()) {
		fmt.Fprintf(b, " %-*s  %s", helpNames, names, line)
		names = ""
	}
}

// names returns "-p, --port PORT", or as much of it as there is. An option
// without a letter is indented, so that the long names stand in one column.
func (o Option) names() string {
	names := o.Short
	switch {
	case o.Short == "":
		names = "    " + o.Long
	case o.Long != "":
		names = o.Short + ", " + o.Long
	}
	if o.Value != "" {
		names += " " + o.Value
	}
	return names
}

// description returns the lines of help, the last one naming the variable and
// the default.
func (o Option) description() string {
	text := o.Help + "\n"
	if o.Env != "" {
		text += o.Env
		if o.Default != "" {
			text += ", default " + o.Default
		}
		text += "\n"
	}
	return text
}
