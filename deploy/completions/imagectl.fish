# fish completion for imagectl. Commands and flags come from its own help, images
# from the daemon, so that nothing here can grow old.

function __imagectl_help
    $argv --help 2>/dev/null | awk '
        /^[A-Z].*:$/ { section = $0 }
        section ~ /Commands:$/ && /^  [a-z]/ { print $1 }
        section ~ /Options:$/ && /^ +-/ { for (i = 1; i <= 2; i++) if ($i ~ /^-/) { sub(",", "", $i); print $i } }'
end

function __imagectl_candidates
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l program $words[1]
    set -l command
    set -l i 2
    while test $i -le (count $words)
        switch $words[$i]
            case -H --host --config --tlscacert --tlscert --tlskey
                set -a program $words[$i] $words[(math $i + 1)]
                set i (math $i + 1)
            case '-*'
            case '*'
                set -a command $words[$i]
                set -l last (count $command)
                if contains -- $command[1] build builder buildx; and test $last -lt 3
                    if test $last -eq 2; and not contains -- $command[2] cache history
                        break
                    end
                else if not contains -- $command[1] image manifest system help; or test $last -ge 2
                    break
                end
        end
        set i (math $i + 1)
    end
    if test "$command[1]" = help
        set -e command[1]
    end
    # "build history" builds a directory of that name, until a command of the history follows.
    if test "$command[1]" = build; and not contains -- "$command[2]" cache history
        set command build
    end
    switch "$command $words[-1] $current"
        case '*load -i *' '*load --input *' '*save -o *' '*save --output *' '*export -o *' '*export --output *'
            __fish_complete_path $current
            return
        case 'import * -*' 'image import * -*'
        case 'import *' 'image import *'
            __fish_complete_path $current
            return
    end
    switch "$command"
        case build 'image build' 'builder build' 'buildx build'
            if not string match -q -- '-*' $current
                __fish_complete_path $current
                return
            end
        case copy history inspect save tag rmi pull push images 'manifest inspect' 'image referrers' 'image export' 'image mount' 'image history' 'image inspect' 'image save' 'image tag' 'image rm' 'image remove' \
            'image pull' 'image push' 'image ls' 'image list'
            if not string match -q -- '-*' $current
                $program images --format '{{if ne .Tag "<none>"}}{{.Repository}}:{{.Tag}}{{end}}' 2>/dev/null
                return
            end
    end
    __imagectl_help $program $command
end

complete -c imagectl -f -a '(__imagectl_candidates)'
