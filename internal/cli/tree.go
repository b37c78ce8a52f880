package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"spoked/internal/config"
	"spoked/internal/journal"
)

// The groups in which commands are listed.
const (
	groupJobs   = "jobs"
	groupTubes  = "tubes"
	groupServer = "server"
	groupTools  = "tools"
)

const rootLong = `spoked is a job queue server, and with a command the tool to operate it.

Without a command it is the server, and takes beanstalkd's options: spoked -h has
them. A command talks to a server that is running: with --server HOST:PORT or
unix:PATH in beanstalkd's protocol, and then also to a real beanstalkd, or with
--server http://HOST:PORT to the HTTP API. What can only be had from the API is
found by itself if the server at HOST:PORT is spoked.`

// remoteExits are the exit codes of commands that talk to a server.
const remoteExits = ` 0           done
 1           it failed, or a part of it did
 2           what it was to work on is not there
 3           no server answers
 4           the server refuses: it wants a token, or another one
 5           the command line makes no sense
 130         interrupted
`

// allExits are those of the program, whatever it does.
const allExits = ` 0           done; the server stopped as asked
 1           it failed, or a part of it did
 2           a command: what it was to work on is not there
 3           a command: no server answers
 4           a command: the server refuses: it wants a token, or another one
 5           an option, a variable, an argument or a file of settings makes no sense
 10          the journal cannot be used, is in use already, or is damaged; there is
             none
 11          the server: writing or syncing the journal has failed
 32, 33, 34  the server, -u: users cannot be looked up; no such user; cannot become
             it
 111         the server: cannot listen on the address
 130         a command: interrupted
`

// tree returns the commands. name is the program's.
func (p *Program) tree(name string) *cobra.Command {
	root := &cobra.Command{
		Use:           name,
		Short:         "a job queue server, and the tool to operate it",
		Long:          rootLong,
		SilenceErrors: true,
		SilenceUsage:  true,
		Annotations:   map[string]string{"exit": allExits},
	}
	root.SetIn(p.Stdin)
	root.SetOut(p.Stdout)
	root.SetErr(p.Stderr)
	root.SetHelpFunc(func(c *cobra.Command, _ []string) { p.helpError = writeHelp(p.Stdout, c) })
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		if errors.Is(err, pflag.ErrHelp) {
			return err
		}
		return misuse("%w", err)
	})
	root.AddGroup(
		&cobra.Group{ID: groupJobs, Title: "Jobs:"},
		&cobra.Group{ID: groupTubes, Title: "Tubes:"},
		&cobra.Group{ID: groupServer, Title: "Server:"},
		&cobra.Group{ID: groupTools, Title: "Tools:"},
	)
	root.SetHelpCommandGroupID(groupTools)
	root.SetCompletionCommandGroupID(groupTools)
	for _, group := range []struct {
		id       string
		commands []*cobra.Command
	}{
		{groupJobs, p.jobCommands()},
		{groupTubes, p.tubeCommands()},
		{groupServer, p.serverCommands()},
		{groupTools, p.toolCommands()},
	} {
		for _, c := range group.commands {
			c.GroupID = group.id
			root.AddCommand(c)
		}
	}
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		switch c.Name() {
		case "help":
			c.Short = "print the help of a command"
		case "completion":
			c.Short = "print a script by which a shell completes command lines"
		}
	}
	useLines(root)
	return root
}

// toolCommands returns what works without a server, or brings its own client.
func (p *Program) toolCommands() []*cobra.Command {
	return []*cobra.Command{p.journalCommand(), p.backupCommand(), p.benchCommand(), p.configCommand(), p.manCommand()}
}

// isCommand reports whether word is the name of a command of root, one that shells
// ask for completions by included.
func isCommand(root *cobra.Command, word string) bool {
	if word == cobra.ShellCompRequestCmd || word == cobra.ShellCompNoDescRequestCmd {
		return true
	}
	for _, c := range root.Commands() {
		if c.Name() == word || c.HasAlias(word) {
			return true
		}
	}
	return false
}

// runCommand runs a command of the tree, and returns the exit code.
func (p *Program) runCommand(root *cobra.Command, args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	defer context.AfterFunc(ctx, stop)() // a second signal ends the process at once
	if strings.HasPrefix(args[0], cobra.ShellCompRequestCmd) {
		documentServer(root.Flags()) // which shells are to complete as well
	}
	root.SetArgs(args)
	c, err := root.ExecuteContextC(ctx)
	if err == nil {
		err = p.helpError
	}
	if err == nil {
		return config.ExitOK
	}
	path := strings.TrimPrefix(strings.TrimPrefix(c.CommandPath(), root.Name()), " ")
	code := exitCode(ctx, err)
	if _, explained := explain(err); explained != nil {
		err = explained
	}
	switch {
	case errors.Is(err, errSaid):
	case isFileError(err):
		p.complain(root.Name(), err.Error())
	case code == config.ExitInterrupted:
		p.complain(root.Name(), path+": interrupted")
	default:
		p.complain(root.Name(), path+": "+err.Error())
	}
	if code == config.ExitUsage && !isFileError(err) {
		fmt.Fprintf(p.Stderr, "Use: %s\nFor more: %s --help\n", c.UseLine(), c.CommandPath())
	}
	return code
}

// exitCode returns the exit code that an error of a command comes to.
func exitCode(ctx context.Context, err error) int {
	if exit, ok := errors.AsType[*config.ExitError](err); ok {
		return exit.Code
	}
	code, _ := explain(err)
	switch {
	case errors.Is(err, journal.ErrInUse), errors.Is(err, journal.ErrNoJournal):
		return config.ExitJournal
	case errors.Is(err, errSaid):
		return config.ExitFailure
	case ctx.Err() != nil && errors.Is(err, context.Canceled):
		return config.ExitInterrupted
	case code != 0:
		return code
	}
	return config.ExitFailure
}

// errSaid is the error of a command that has said already what went wrong.
var errSaid = errors.New("not everything could be done")

// misuse returns the error of a command line that makes no sense.
func misuse(format string, args ...any) error {
	return &config.ExitError{Code: config.ExitUsage, Err: fmt.Errorf(format, args...)}
}

// notFound returns the error of what is not there.
func notFound(format string, args ...any) error {
	return &config.ExitError{Code: config.ExitNotFound, Err: fmt.Errorf(format, args...)}
}

// takes returns a check for arguments with these names; the last one may be left out
// if it ends in "?", and be repeated if it ends in "...".
func takes(names ...string) cobra.PositionalArgs {
	return func(_ *cobra.Command, args []string) error {
		least, most := len(names), len(names)
		if most > 0 {
			switch last := names[most-1]; {
			case strings.HasSuffix(last, "...?"):
				least, most = least-1, len(args)
			case strings.HasSuffix(last, "..."):
				most = max(most, len(args))
			case strings.HasSuffix(last, "?"):
				least--
			}
		}
		if len(args) < least {
			return misuse("an argument is missing: it takes %s", strings.Join(names, " "))
		}
		if len(args) > most {
			return misuse("unknown argument: %s", args[most])
		}
		return nil
	}
}

// exclusive has c refuse command lines with more than one of these flags. Its Args must
// have been set.
func exclusive(c *cobra.Command, names ...string) {
	c.MarkFlagsMutuallyExclusive(names...) // so that shells do not offer them
	check := c.Args
	c.Args = func(c *cobra.Command, args []string) error {
		given := ""
		for _, name := range names {
			switch {
			case !c.Flags().Changed(name):
			case given != "":
				return misuse("--%s and --%s exclude each other", given, name)
			default:
				given = name
			}
		}
		return check(c, args)
	}
}

// group returns a command that is nothing but a name for others.
func group(use, short, long string, commands ...*cobra.Command) *cobra.Command {
	c := &cobra.Command{
		Use:   use,
		Short: short,
		Long:  long,
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return misuse("a command is missing")
			}
			return misuse("unknown command: %s", args[0])
		},
	}
	c.AddCommand(commands...)
	return c
}
