# bash completion for imagectl. Commands and flags come from its own help, images
# from the daemon, so that nothing here can grow old.

# The commands and flags that the help of a command lists.
_imagectl_help()
{
	"$@" --help 2>/dev/null | awk '
		/^[A-Z].*:$/ { section = $0 }
		section ~ /Commands:$/ && /^  [a-z]/ { print $1 }
		section ~ /Options:$/ && /^ +-/ { for (i = 1; i <= 2; i++) if ($i ~ /^-/) { sub(",", "", $i); print $i } }'
}

_imagectl_images()
{
	"$@" images --format '{{if ne .Tag "<none>"}}{{.Repository}}:{{.Tag}}{{end}}' 2>/dev/null
}

# The word that is being completed, with the parts that bash has split at colons.
_imagectl_current()
{
	local i=$COMP_CWORD word=${COMP_WORDS[COMP_CWORD]}

	while ((i > 1)) && [[ ${COMP_WORDS[i - 1]} == : || ${COMP_WORDS[i]} == : ]]; do
		((i--))
		[[ ${COMP_WORDS[i]} == : ]] && word=:$word || word=${COMP_WORDS[i]}$word
	done
	printf '%s' "$word"
}

_imagectl()
{
	local current program=("${COMP_WORDS[0]}") path=() previous=${COMP_WORDS[COMP_CWORD - 1]} i word words

	current=$(_imagectl_current)
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		-H | --host | --config | --tlscacert | --tlscert | --tlskey)
			((${#path[@]})) && continue
			program+=("$word" "${COMP_WORDS[++i]}")
			while [[ ${COMP_WORDS[i + 1]} == : && i+1 -lt COMP_CWORD ]]; do
				program[-1]+=:${COMP_WORDS[i + 2]}
				((i += 2))
			done
			;;
		-*) ;;
		*)
			path+=("$word")
			[[ ${path[0]} == builder || ${path[0]} == buildx || ${path[0]} == image || ${path[0]} == manifest || ${path[0]} == system || ${path[0]} == help ]] && ((${#path[@]} < 2)) ||
				[[ ${#path[@]} -lt 3 && ${path[0]} =~ ^build(er|x)?$ && ${path[1]-} =~ ^(cache|history)?$ ]] || break
			;;
		esac
	done
	[[ ${path[0]} == help ]] && path=("${path[@]:1}")
	# "build history" builds a directory of that name, until a command of the history follows.
	[[ ${path[0]} == build && ! ${path[1]-} =~ ^(cache|history)$ ]] && path=(build)
	case "${path[*]} $previous $current" in # nothing from here: bash completes file names
	*load\ -i\ * | *load\ --input\ * | *save\ -o\ * | *save\ --output\ * | *export\ -o\ * | *export\ --output\ *) return ;;
	*import\ *\ -*) ;;
	import\ * | image\ import\ *) return ;;
	esac
	case ${path[*]} in # a directory or a file
	build | image\ build | builder\ build | buildx\ build) [[ $current == -* ]] || return ;;
	esac
	words=$(_imagectl_help "${program[@]}" "${path[@]}")
	case ${path[*]} in
	copy | history | inspect | save | tag | rmi | pull | push | images | manifest\ inspect | image\ referrers | image\ export | image\ mount | image\ history | image\ inspect | image\ save | image\ tag | image\ rm | \
		image\ remove | image\ pull | image\ push | image\ ls | image\ list)
		[[ $current == -* ]] || words=$(_imagectl_images "${program[@]}")
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
	# What bash has split off is not given back.
	if [[ $current == *:* && $COMP_WORDBREAKS == *:* ]]; then
		COMPREPLY=("${COMPREPLY[@]#"${current%"${current##*:}"}"}")
	fi
}

complete -o default -F _imagectl imagectl
