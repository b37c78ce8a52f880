package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"spoked/internal/config"
)

const configLong = `Says what a server would be started with, and looks at its file of settings. No
server is asked, and none is started.`

const configExits = ` 0           done; of validate, nothing is wrong with the file
 1           something is wrong with the file, or any other failure
 5           the command line, a variable, or of show the file, makes no sense
`

// configCommand returns the tool for settings. Without a command it is show.
func (p *Program) configCommand() *cobra.Command {
	show := &cobra.Command{
		Use:   "show [--json] [OPTIONS]",
		Short: "print each setting, and where it comes from",
		Long: `Prints each setting, its value, and which file and line, variable or flag that is from.
OPTIONS are those of a server: spoked -h has them.`,
		Example: "  spoked config show -b /var/lib/spoked\n  SPOKED_LOOPS=2 spoked config show --json",
		// The options are beanstalkd's, and are not read by this library.
		DisableFlagParsing: true,
	}
	show.RunE = func(c *cobra.Command, args []string) error {
		if slices.Contains(args, "-h") || slices.Contains(args, "--help") {
			return c.Help()
		}
		return p.showConfig(c.Root().Name(), args)
	}
	defaults := &cobra.Command{
		Use:     "defaults",
		Short:   "print a file with every option",
		Long:    "Prints a file of settings with every option, its description and its default, out of force.",
		Example: "  spoked config defaults > spoked.toml",
		Args:    takes(),
	}
	format := defaults.Flags().String("format", "toml", "the `FORMAT`: toml or yaml")
	defaults.RunE = func(*cobra.Command, []string) error { return p.showDefaults(*format) }
	validate := &cobra.Command{
		Use:     "validate FILE",
		Short:   "say what is wrong with a file of settings",
		Long:    "Says what is wrong with a file of settings, and in which line.",
		Example: "  spoked config validate /etc/spoked.toml",
		Args:    takes("FILE"),
	}
	json := jsonFlag(validate, "JSON")
	validate.RunE = func(c *cobra.Command, args []string) error {
		return p.validateConfig(c.Root().Name(), args[0], *json)
	}
	c := group("config", "print and check the settings of a server", configLong+"\n\nWithout a command it is show.", show, defaults, validate)
	c.Annotations = map[string]string{"exit": configExits}
	c.DisableFlagParsing = true
	c.RunE = func(c *cobra.Command, args []string) error {
		if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
			return misuse("unknown command: %s", args[0])
		}
		return show.RunE(c, args)
	}
	for _, sub := range c.Commands() {
		sub.Annotations = c.Annotations
	}
	return c
}

// showConfig prints what a server with these arguments would be started with. One
// of them may be --json.
func (p *Program) showConfig(name string, args []string) error {
	isJSON := func(word string) bool { return word == "--json" }
	asJSON := slices.ContainsFunc(args, isJSON)
	inv, err := config.Parse(slices.DeleteFunc(slices.Clone(args), isJSON), p.Env)
	for _, warning := range inv.Warnings {
		p.complain(name, warning)
	}
	switch {
	case err != nil:
		return &config.ExitError{Code: config.ExitUsage, Err: err}
	case inv.Action != config.ActionServe:
		return misuse("these options do not start a server")
	}
	settings := config.Effective(&inv)
	if asJSON {
		return printJSON(p.Stdout, map[string]any{"file": inv.File, "settings": settings})
	}
	table := tabwriter.NewWriter(p.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tVALUE\tFROM")
	for _, s := range settings {
		value := fmt.Sprint(s.Value)
		if value == "" {
			value = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\n", s.Name, value, s.From)
	}
	return table.Flush()
}

// showDefaults prints a file of settings to begin with.
func (p *Program) showDefaults(format string) error {
	switch f := config.Format(format); f {
	case "":
		f = config.FormatTOML
		fallthrough
	case config.FormatTOML, config.FormatYAML:
		_, err := io.WriteString(p.Stdout, config.Defaults(f))
		return err
	}
	return misuse("unknown format: %s (want toml or yaml)", format)
}

// validateConfig prints what is wrong with a file of settings, and returns an error
// if anything is.
func (p *Program) validateConfig(name, path string, asJSON bool) error {
	err := config.Validate(path)
	wrong, ok := errors.AsType[*config.FileError](err)
	if err != nil && !ok {
		return err
	}
	problems := []config.Problem{}
	if wrong != nil {
		problems = wrong.Problems
	}
	switch {
	case asJSON:
		if err := printJSON(p.Stdout, map[string]any{"file": path, "problems": problems}); err != nil {
			return err
		}
	case wrong == nil:
		_, err := fmt.Fprintf(p.Stdout, "%s: nothing is wrong\n", path)
		return err
	default:
		for _, problem := range problems {
			p.complain(name, problem.String())
		}
	}
	if wrong != nil {
		return errWrong
	}
	return nil
}

// errWrong is the error of a file of settings of which has been said what is wrong.
var errWrong = fmt.Errorf("the file is wrong: %w", errSaid)
