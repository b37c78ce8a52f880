package tidy

import (
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// saysNothing are names under which anything could be found.
var saysNothing = []string{"common", "core", "helper", "helpers", "type", "types", "util", "utils"}

func names(t *tree) (complaints []string) {
	for _, p := range t.packages {
		for _, part := range strings.Split(p.dir, "/") {
			if slices.Contains(saysNothing, part) {
				complaints = append(complaints, p.dir+": a package called "+part+" could hold anything; name it for what it provides")
			}
		}
		for _, f := range p.files {
			name := strings.TrimSuffix(f.ast.Name.Name, "_test")
			if name != "main" && name != path.Base(p.dir) {
				complaints = append(complaints, t.at(f.ast.Name.Pos(),
					"package %s in directory %s; an import must show the name", f.ast.Name.Name, p.dir))
			}
		}
	}
	return complaints
}

// unfinished finds words by which work is put off. They are spelled so that
// this file is in order itself.
var unfinished = regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME|XX` + `X)\b`)

func leftovers(t *tree) (complaints []string) {
	for _, p := range t.packages {
		for _, f := range p.files {
			for line := range strings.Lines(f.text) {
				if word := unfinished.FindString(line); word != "" {
					complaints = append(complaints, f.path+": "+word+
						": do it, or write down what is not done where users look for it: "+strings.TrimSpace(line))
				}
			}
		}
	}
	return complaints
}

func TestNamesBites(t *testing.T) {
	bite(t, names, []breach{
		{"internal/util/a.go", "package util", "a package called util"},
		{"internal/core/heap/a.go", "package heap", "a package called core"},
		{"queue/a.go", "package engine", "package engine in directory queue"},
		{"queue/a_test.go", "package queue_test", ""},
		{"cmd/spoked/a.go", "package main", ""},
	})
}

func TestLeftoversBites(t *testing.T) {
	bite(t, leftovers, []breach{
		{"queue/a.go", "package queue // FIX" + "ME: later", "queue/a.go: FIX" + "ME"},
		{"queue/a.go", "package queue // XX" + "XL is a size", ""},
	})
}
