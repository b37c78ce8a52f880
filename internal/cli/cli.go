// Package cli is the command line of spoked: without a command it reads the
// server's options, answers what can be answered at once, and hands everything
// else to the daemon; with one it runs that. All exit codes are decided here; all
// messages of a command that could not be carried out are printed here.
//
// The server's options are beanstalkd's and are read by internal/config; commands
// are a tree of cobra's (tree.go). A command that needs a server asks for a link
// (link.go), which is either the wire protocol or the HTTP API.
package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"spoked/internal/config"
	"spoked/internal/daemon"
)

// Run runs the command line argv, the program's name first, and returns the
// exit code of the process. It blocks for as long as the server or the command
// runs. Commands that take jobs from standard input read the process's own.
func Run(argv, env []string, stdout, stderr io.Writer) int {
	p := Program{Env: env, Stdin: os.Stdin, Stdout: stdout, Stderr: stderr, Serve: daemon.Run}
	return p.Run(argv)
}

// Program is the command with everything it touches in reach of a test.
type Program struct {
	// Env is the environment as NAME=VALUE.
	Env []string
	// Stdin is what commands read that are given nothing else; nil is empty.
	Stdin io.Reader
	// Stdout gets what was asked for, Stderr everything else.
	Stdout, Stderr io.Writer
	// Serve runs a server until it is told to stop. An error that holds a
	// [config.ExitError] chooses the exit code.
	Serve func(inv *config.Invocation, stderr io.Writer) error

	helpError error // of printing help, of which cobra wants to know nothing
}

// Run does what argv asks for and returns the exit code.
func (p *Program) Run(argv []string) int {
	name, args := "spoked", argv
	if len(argv) > 0 {
		name, args = argv[0], argv[1:]
	}
	if len(args) > 0 {
		if root := p.tree(filepath.Base(name)); isCommand(root, args[0]) {
			return p.runCommand(root, args)
		}
	}
	err := p.run(name, args)
	if err == nil {
		return config.ExitOK
	}
	p.complain(name, err.Error())
	exit, ok := errors.AsType[*config.ExitError](err)
	if !ok {
		return config.ExitFailure
	}
	if exit.Code == config.ExitUsage && !isFileError(err) {
		io.WriteString(p.Stderr, config.Help(name))
	}
	return exit.Code
}

func (p *Program) run(name string, args []string) error {
	inv, err := config.Parse(args, p.Env)
	for _, warning := range inv.Warnings {
		p.complain(name, warning)
	}
	if err != nil {
		return &config.ExitError{Code: config.ExitUsage, Err: err}
	}
	switch inv.Action {
	case config.ActionVersion:
		_, err := fmt.Fprintf(p.Stdout, "spoked %s (beanstalkd protocol %s)\n", config.Version, config.Compat113)
		return err
	case config.ActionHelp:
		_, err := io.WriteString(p.Stdout, config.Help(name))
		return err
	}
	return p.Serve(&inv, p.Stderr)
}

// isFileError reports whether err is about a file of settings, with which the help
// text would not help.
func isFileError(err error) bool {
	_, ok := errors.AsType[*config.FileError](err)
	return ok
}

// complain prints a message the way beanstalkd does: each line of it after the name.
func (p *Program) complain(name, text string) {
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(p.Stderr, "%s: %s\n", name, line)
	}
}

// variable returns the value of an environment variable, or "".
func (p *Program) variable(name string) (value string) {
	for _, entry := range p.Env {
		if v, ok := strings.CutPrefix(entry, name+"="); ok {
			value = v
		}
	}
	return value
}
