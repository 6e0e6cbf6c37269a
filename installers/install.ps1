<#
.SYNOPSIS
Installs Pylon (the command `pylon`) for this user on Windows, makes it newer, or takes it away.
.DESCRIPTION
Uses uv, or else pipx. `pylon dev` and `pylon serve` belong into WSL on Windows: docs/deploy.md says
what works outside of it.
.PARAMETER From
A wheel, a folder or a requirement, as pip takes it.
.PARAMETER Version
That release instead of the newest.
.PARAMETER With
uv or pipx; otherwise the first of them that is there.
.PARAMETER Uninstall
Take it away again; projects and their data stay.
.EXAMPLE
powershell -ExecutionPolicy Bypass -File install.ps1
.EXAMPLE
powershell -ExecutionPolicy Bypass -File install.ps1 -Uninstall
#>
[CmdletBinding()]
param(
    [string]$From = '',
    [string]$Version = '',
    [ValidateSet('', 'uv', 'pipx')]
    [string]$With = '',
    [switch]$Uninstall
)

Set-StrictMode -Version Latest
$ErrorActionPreference = 'Stop'
$Distribution = 'pylon-runtime'

function Stop-Installing([string]$What, [string]$Remedy) {
    [Console]::Error.WriteLine("install.ps1: $What")
    [Console]::Error.WriteLine("  what to do: $Remedy")
    exit 1
}

function Test-Command([string]$Name) {
    return $null -ne (Get-Command $Name -CommandType Application -ErrorAction SilentlyContinue)
}

# Returns the tool that has Pylon installed already, or nothing.
function Get-InstalledBy {
    if ((Test-Command 'uv') -and ((uv tool list) -match "^$Distribution ")) { return 'uv' }
    if ((Test-Command 'pipx') -and ((pipx list --short) -match "^$Distribution ")) { return 'pipx' }
    return ''
}

# Returns the first Python that is new enough, or nothing.
function Find-Python {
    foreach ($name in 'python3', 'python', 'py') {
        if (-not (Test-Command $name)) { continue }
        $found = & $name -c 'import sys; print(sys.executable if sys.version_info >= (3, 11) else str())'
        if ($LASTEXITCODE -eq 0 -and $found) { return $found }
    }
    return ''
}

function Select-Tool([string]$Before) {
    if ($With) {
        if ($Before -and $Before -ne $With) {
            Stop-Installing "$Before has Pylon already" 'leave out -With, or run this with -Uninstall first'
        }
        if (-not (Test-Command $With)) {
            Stop-Installing "$With is not on PATH" "install $With, or leave out -With"
        }
        return $With
    }
    if ($Before) { return $Before }
    foreach ($name in 'uv', 'pipx') {
        if (Test-Command $name) { return $name }
    }
    Stop-Installing 'there is neither uv nor pipx on PATH' `
        'install uv (winget install astral-sh.uv), then run this again in a new window'
}

function Uninstall-Pylon([string]$Before) {
    if (-not $Before -or ($With -and $With -ne $Before)) {
        Write-Output 'Pylon is not installed by uv or pipx: nothing to take away.'
        return
    }
    if ($Before -eq 'uv') { uv tool uninstall --quiet $Distribution }
    else { pipx uninstall --quiet $Distribution }
    if ($LASTEXITCODE -ne 0) {
        Stop-Installing "$Before could not take Pylon away" "read what $Before said above"
    }
    Write-Output "Pylon is taken away ($Before). Projects stay where they are."
}

function Install-Pylon([string]$Tool, [string]$What) {
    if ($Tool -eq 'uv') {
        uv tool install --quiet --python '>=3.11' --upgrade --reinstall-package $Distribution $What
    } else {
        $python = Find-Python
        if (-not $python) {
            Stop-Installing 'pipx is there, but no Python of 3.11 or newer on PATH' `
                'install a newer Python, or uv, which brings one; then run this again'
        }
        pipx install --quiet --force --python $python $What
    }
    if ($LASTEXITCODE -ne 0) {
        Stop-Installing "$Tool could not install $What" "read what $Tool said above"
    }
}

function Get-CommandFolder([string]$Tool) {
    if ($Tool -eq 'uv') { return (uv tool dir --bin) }
    return (pipx environment --value PIPX_BIN_DIR)
}

if ($From -and $Version) {
    Stop-Installing '-From and -Version both say what to install' 'give one of them'
}
$before = Get-InstalledBy
if ($Uninstall) {
    Uninstall-Pylon $before
    exit 0
}
$what = $Distribution
if ($Version) { $what = "$Distribution==$Version" }
if ($From) { $what = $From }
$chosen = Select-Tool $before
Write-Output "installing $what by $chosen ..."
Install-Pylon $chosen $what
$folder = Get-CommandFolder $chosen
& (Join-Path $folder 'pylon.exe') --version
if ($LASTEXITCODE -ne 0) {
    Stop-Installing 'pylon does not start' 'run pylon --version by hand to see why'
}
if (($env:PATH -split ';') -notcontains $folder) {
    Write-Output "$folder is not on PATH, so no window finds pylon yet. What to do: $chosen $(
        if ($chosen -eq 'uv') { 'tool update-shell' } else { 'ensurepath' }), and open a new window."
}
Write-Output 'pylon dev and pylon serve belong into WSL on Windows; docs/deploy.md says what works here.'
