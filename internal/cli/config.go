package cli

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"spoked/internal/config"
)

const configUse = `Use: %s config [show] [--json] [OPTIONS]
     %s config defaults [--format toml|yaml]
     %s config validate [--json] FILE

Says what a server would be started with, and looks at its file of settings. No
server is asked, and none is started.

Commands:
 show          print each setting, its value, and which file and line, variable or
               flag that is from. OPTIONS are those of a server
 defaults      print a file with every option, its description and its default,
               out of force
   --format F  toml, which is the default, or yaml
 validate      say what is wrong with a file, and in which line

 --json        print JSON
 -h, --help    print this help and exit

Exit codes:
 0           done; of validate, nothing is wrong with the file
 1           something is wrong with the file, or any other failure
 5           the command line, a variable, or of show the file, makes no sense
`

// config runs the tool for settings.
func (p *Program) config(name string, args []string) error {
	command := "show"
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		command, args = args[0], args[1:]
	}
	switch command {
	case "show":
		if slices.Contains(args, "-h") || slices.Contains(args, "--help") {
			return errHelp
		}
		return p.showConfig(name, args)
	case "defaults":
		w, err := parseWords(args, nil, map[string]string{"--format": "--format"})
		if err != nil {
			return err
		}
		if len(w.args) > 0 {
			return misuse("config defaults: unknown argument: %s", w.args[0])
		}
		return p.showDefaults(w.values["--format"])
	case "validate":
		w, err := parseWords(args, []string{"--json"}, nil)
		switch {
		case err != nil:
			return err
		case len(w.args) == 0:
			return misuse("config validate: an argument is missing: it takes FILE")
		case len(w.args) > 1:
			return misuse("config validate: unknown argument: %s", w.args[1])
		}
		return p.validateConfig(name, w.args[0], w.on["--json"])
	}
	return misuse("config: unknown command: %s", command)
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
		return misuse("config: these options do not start a server")
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
	return misuse("config defaults: unknown format: %s (want toml or yaml)", format)
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
var errWrong = errors.New("the file is wrong")
